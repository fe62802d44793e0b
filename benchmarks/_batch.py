"""One batch of a bank on SQLite, from its INSERT to its end."""

from tests.bank import Bank


def seconds(bank: Bank, mode: str, **columns: str | int) -> float:
    """Seconds from claim to C, by the database's clock; an AssertionError if it fails."""
    values = {"mode": mode, **columns}
    bank.sql(
        f"INSERT INTO dc_batch ({', '.join(values)}) VALUES "
        f"({', '.join(repr(value) for value in values.values())})"
    )
    [[batch_id]] = bank.sql("SELECT MAX(batch_id) FROM dc_batch")
    bank.wait(lambda: bank.state(int(batch_id)) in "CE", 900, every=1.0)
    assert bank.state(int(batch_id)) == "C", bank.log()
    [[found]] = bank.sql(
        "SELECT (julianday(work_end_date) - julianday(work_date)) * 86400 FROM dc_batch "
        f"WHERE batch_id = {batch_id}"
    )
    return float(found)
