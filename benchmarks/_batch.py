"""One batch of a bank, from its INSERT to its end."""

from datetime import datetime

from tests.bank import Bank


def seconds(bank: Bank, mode: str, **columns: str | int) -> float:
    """Seconds from claim to C, by the database's clock; an AssertionError if it fails."""
    values = {"mode": mode, **columns}
    bank.sql(
        f"INSERT INTO dc_batch ({', '.join(values)}) VALUES "
        f"({', '.join(repr(value) for value in values.values())})"
    )
    [[batch_id]] = bank.sql("SELECT MAX(batch_id) FROM dc_batch")
    bank.wait(lambda: bank.state(int(batch_id)) in "CE", 900, every=0.5)
    assert bank.state(int(batch_id)) == "C", bank.log()
    [times] = bank.sql(f"SELECT work_date, work_end_date FROM dc_batch WHERE batch_id = {batch_id}")
    claimed, ended = map(datetime.fromisoformat, times)
    return (ended - claimed).total_seconds()
