"""
What the attacks share: a house of the build with FAULTS=1 that ends with its test, whole.
"""
import pytest

from house import House


@pytest.fixture
def houses():
    """Makes houses, not started; they end with the test."""
    made = []

    def make(**configuration):
        made.append(House(**configuration))
        return made[-1]
    yield make
    for house in made:
        house.end()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    for value in getattr(item, "funcargs", {}).values():
        if isinstance(value, House):
            report.sections.append((f"log of {value.folder}", "\n".join(l[:250] for l in value.log().splitlines()[-25:])))
