"""What batches leave behind."""

from sqlalchemy import Engine, select

from storage import results
from storage.records import Result
from storage.schema import dc_batch_result
from tests.calls import Calls


def test_any_error_of_a_model_is_taken(engine: Engine) -> None:
    calls = Calls(engine)
    failure = Result(
        batch_id=calls.add(),
        model_no=1,
        model_sub_no=1,
        split="test",
        fence=1,
        model_id="ML-RF",
        state="E",
        error_class="X" * 300,
        error_text="\udcff broken " + "긴" * 500_000 + " end 🏦",
    )

    calls(results.put_failure, [failure])

    row = calls(lambda connection: connection.execute(select(dc_batch_result)).one())
    assert len(row.error_text) == 100_000
    assert row.error_text.startswith("? broken")
    assert row.error_text.endswith("end 🏦")
    assert len(row.error_class) == 100
