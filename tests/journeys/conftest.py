"""
What every journey can ask for: `stagepost` makes instances that end with the test, `shared` is one
for all tests of a file. A test that fails shows the end of the log.
"""
import pytest

import net
from stagepost import IS_ROOT, Stagepost, has_users

LOG_LINES_SHOWN, LOG_COLUMNS_SHOWN = 25, 250
# The long ones first, so that two workers end together.
ORDER = ["test_kill", "test_relay_kill", "test_corpus", "test_many", "test_master"]


def pytest_collection_modifyitems(items):
    rank = {name: i for i, name in enumerate(ORDER)}
    items.sort(key=lambda item: rank.get(item.module.__name__, len(ORDER)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    for value in getattr(item, "funcargs", {}).values():
        for instance in getattr(value, "instances", [value]):
            if isinstance(instance, Stagepost):
                report.sections.append((f"log of {instance.folder}",
                                        "\n".join(line[:LOG_COLUMNS_SHOWN] for line in
                                                  instance.log().splitlines()[-LOG_LINES_SHOWN:])))


class Maker:
    def __init__(self):
        self.instances = []

    def __call__(self, start=True, **keywords):
        instance = Stagepost(**keywords)
        self.instances.append(instance)
        return instance.start() if start else instance

    def end(self):
        for instance in self.instances:
            instance.end()


@pytest.fixture(scope="session", autouse=True)
def the_system_users_are_there():
    if IS_ROOT and not has_users():
        pytest.exit("as root the tests need the users of conf/sysusers.conf: systemd-sysusers conf/sysusers.conf", 1)


@pytest.fixture
def network():
    """Makes a Network (net.py) that ends with the test."""
    why = net.available()
    if why:
        pytest.skip(why)
    made = []

    def make(*arguments, **keywords):
        made.append(net.Network(*arguments, **keywords))
        return made[-1]
    yield make
    for one in made:
        one.end()


@pytest.fixture
def stagepost():
    maker = Maker()
    yield maker
    maker.end()


@pytest.fixture(scope="module")
def shared():
    maker = Maker()
    yield maker()
    maker.end()
