"""What looks like a secret: by the name of its key, or by its own shape. Pure."""

import re

MASK = "***"
_KEY_PARTS = (
    "password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey", "signingkey", "authorization",
    "credential", "sessionid", "cookie", "creditcard", "cardnumber", "connectionstring", "databaseurl", "bearer",
)
_KEY_ENDS = ("token", "jwt", "pwd")
_KEY_WORDS = frozenset({"auth", "pin", "otp", "cvv", "cvc", "ssn", "iban", "dsn", "pass", "key", "tokens", "sid"})
# every repetition is bounded or begins at one place of a word only: these run over text that a stranger chose
_SHAPES = re.compile(
    r"""
      (?<![\w-])eyJ[\w-]{8,}\.[\w-]+\.[\w-]*              # JWT
    | (?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}            # Authorization
    | \b(?:sk|pk|rk)[-_][\w-]{16,}                        # OpenAI, Anthropic, Stripe
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                       # AWS
    | \bgh[pousr]_\w{20,} | \bgithub_pat_\w{20,}          # GitHub
    | \bglpat-[\w-]{16,}                                  # GitLab
    | \bxox[abprs]-[\w-]{10,}                             # Slack
    | \bAIza[\w-]{30,}                                    # Google
    | \bnpm_\w{30,} | \bpypi-\w{30,} | \bhf_\w{20,}
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----[\s\S]*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|$)
    | (?<=://)[^\s/@:]*:[^\s/@]+(?=@)                     # user:password in a URL
    """,
    re.VERBOSE,
)
_ASSIGNED = re.compile(
    r"""(?ix) ( (?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key) [\w-]{0,32}
        \\?["']? \s{0,4}[:=]\s{0,4} \\?["']? ) [^\s"'\\,;&}\]]+ """
)
_NOT_WORD = re.compile(r"[^a-z0-9]")


def is_secret_key(name: str, more: frozenset[str] = frozenset()) -> bool:
    """The name of a member whose value is a secret; `more` holds names folded by fold_key."""
    folded = fold_key(name)
    if folded in _KEY_WORDS or folded in more or folded.endswith(_KEY_ENDS):
        return True
    return any(part in folded for part in _KEY_PARTS)


def fold_key(name: str) -> str:
    """`API-Key`, `api_key` and `apiKey` are one name."""
    return _NOT_WORD.sub("", name.lower())


def without_secrets(text: str) -> str:
    """The text with tokens, keys and `password=...` in it masked."""
    if len(text) < 8:
        return text
    return _ASSIGNED.sub(rf"\1{MASK}", _SHAPES.sub(MASK, text))
