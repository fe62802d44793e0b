"""SQL that is shown to a person, and run exactly as it is shown."""

import re

from sqlalchemy import Connection, Insert

from launcher.terminal.session import Session

_COLUMNS = 76  # of 80: statements are shown indented and with a semicolon
_CLAUSES = ("VALUES", "SELECT", "FROM", "WHERE")
_WORD = re.compile(r"(?:'(?:[^']|'')*'|[^\s'])+")


def as_shown(session: Session, statement: Insert) -> str:
    """The statement as an operator would write it, in lines."""
    dialect = session.engine.dialect
    compiled = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    shown = compiled.replace("%%", "%") if _doubles_percent(session) else compiled
    return _in_lines(shown)


def submit(session: Session, sql: str) -> int:
    """Run an INSERT exactly as it is shown; the new batch_id, if it has one."""
    # A driver that fills in %s wants every other % twice.
    raw = sql.replace("%", "%%") if _doubles_percent(session) else sql

    def work(connection: Connection) -> int:
        return int(connection.exec_driver_sql(raw).lastrowid or 0)

    return session.write(work)


def _in_lines(sql: str) -> str:
    """A statement whose clauses begin lines, which are as long as fits, texts in them kept."""
    lines = [""]
    for word in _WORD.findall(sql):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if word in _CLAUSES:
            lines.append(word)
        elif len(joined) > _COLUMNS:
            lines.append(f"    {word}")
        else:
            lines[-1] = joined
    return "\n".join(lines)


def _doubles_percent(session: Session) -> bool:
    return session.engine.dialect.paramstyle in ("format", "pyformat")
