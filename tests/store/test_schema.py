"""schema.sql says what the migrations come to."""

import uuid

import psycopg
from write_schema import TARGET

CATALOG = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
            pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum), c.relkind, c.reloptions
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE c.relnamespace = 'weir'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
            AND c.relkind IN ('r', 'p', 'v')""",
    "constraints": """
        SELECT conrelid::regclass::text, contype, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'weir'::regnamespace AND contype <> 'n'""",
    "indexes": "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'weir'",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'weir'",
    "functions": """
        SELECT proname, pg_get_function_identity_arguments(oid), pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'weir'::regnamespace""",
    "partitions": """
        SELECT inhrelid::regclass::text, inhparent::regclass::text, pg_get_expr(c.relpartbound, c.oid)
        FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
        WHERE c.relnamespace = 'weir'::regnamespace AND c.relkind = 'r'""",
}


def catalog(conn: psycopg.Connection) -> dict[str, list[str]]:
    return {name: sorted(map(repr, conn.execute(sql.encode()).fetchall())) for name, sql in CATALOG.items()}


def test_schema_sql_is_what_the_migrations_come_to(postgres_url: str, database_url: str) -> None:
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
    with psycopg.connect(postgres_url.replace("/postgres?", f"/{name}?"), autocommit=True) as conn:
        conn.execute("SET check_function_bodies = off")  # as pg_dump sets it: functions come before tables
        conn.execute(TARGET.read_bytes())
        read = catalog(conn)
    with psycopg.connect(database_url, autocommit=True) as conn:
        migrated = catalog(conn)
    for part, want in migrated.items():
        assert len(want) > 1 and read[part] == want, f"{part}: run `make schema`"
