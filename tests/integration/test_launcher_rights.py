"""What a launcher says and does whose account lacks a right, or whose database is not ready."""

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from configs.errors import DatabaseRefused, WrongSchema
from launcher.service.notify import Notifier
from storage.schema import metadata
from tests.runs import Runs
from tests.waiting import until


def test_a_wrong_password_is_told_at_once(runs):
    runs.settings = runs.settings.model_copy(update={"database_password": None})

    with pytest.raises(DatabaseRefused):
        runs.daemon("succeed").run()


class Account:
    """Another account than the tests' own, which may only look until it is given more."""

    def __init__(self, runs, server):
        url = make_url(runs.settings.database_url)
        self._database, self._client = url.database, server.client
        self._client("CREATE OR REPLACE USER 'looks'@'127.0.0.1' IDENTIFIED BY 'only'")
        self.give("SELECT", "*")
        there = {
            "database_url": url.set(username="looks").render_as_string(hide_password=False),
            "database_password": SecretStr("only"),
        }
        runs.settings = runs.settings.model_copy(update=there)

    def give(self, verbs, table):
        self._client(f"GRANT {verbs} ON {self._database}.{table} TO 'looks'@'127.0.0.1'")

    def give_all(self):
        for table in metadata.tables:
            self.give("SELECT, INSERT, UPDATE, DELETE", table)

    def take_claims(self):
        self._client(f"REVOKE UPDATE ON {self._database}.dc_batch FROM 'looks'@'127.0.0.1'")


@pytest.fixture
def account(runs, mariadb_server):
    return Account(runs, mariadb_server)


@pytest.mark.parametrize("how", ["run", "run_one"])
def test_an_account_that_lacks_a_right_is_told_at_once(runs, account, how):
    batch_id = runs.add()
    account.give_all()
    account.take_claims()
    with pytest.raises(DatabaseRefused) as error:
        if how == "run":
            runs.daemon("succeed", drain=True).run()  # it ends in any case
        else:
            runs.run_one("succeed", batch_id)
    assert "account 'looks'@'127.0.0.1' lacks UPDATE on dc_batch; an administ" in str(error.value)
    assert "GRANT `deepcredit_launcher` TO 'looks'@'127.0.0.1'; SET DEFAULT" in str(error.value)
    assert "B" not in runs.servers()


def test_what_an_account_of_a_reader_lacks_is_told_by_table(runs, account):
    with pytest.raises(
        DatabaseRefused, match=r" lacks UPDATE on dc_batch, INSERT, UPDATE, DELETE on .* and more;"
    ):
        runs.daemon("succeed").run()


def test_a_right_that_is_lost_later_is_waited_for(runs, account):
    account.give_all()
    with runs.launcher("succeed") as launcher:
        until(lambda: "L" in runs.servers())
        account.take_claims()
        batch_id = runs.add()
        until(lambda: runs.said("the database cannot be used; trying on") == 1)
        account.give("UPDATE", "dc_batch")
        until(lambda: runs.states_of(batch_id) == ["C"])
        until(lambda: runs.said("the database answers again") == 1)
        assert launcher.poll() is None


def test_drain_ends_where_the_account_may_claim_no_more(runs, account):
    account.give_all()

    class Late(Notifier):
        def ready(self, status):
            account.take_claims()
            runs.add()

    with pytest.raises(DatabaseRefused, match="command denied"):
        runs.daemon("succeed", drain=True, notifier=Late({})).run()


def test_a_database_that_was_not_upgraded_is_told_at_once(settings, tmp_path):
    runs = Runs(settings(database_url=f"sqlite:///{tmp_path / 'empty.db'}"), tmp_path)

    with pytest.raises(WrongSchema, match="no tables yet; run `deepcredit db upgrade` first"):
        runs.daemon("succeed").run()
    runs.engine.dispose()
