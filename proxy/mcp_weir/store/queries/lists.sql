-- The window's tools/list requests and the tokens of their answers.
SELECT coalesce(sum(requests), 0)::bigint AS lists, coalesce(sum(tokens_out), 0)::bigint AS tokens
FROM {counts} AS f
