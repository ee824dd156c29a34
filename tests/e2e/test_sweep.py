"""What an attacker tries on a stack with a token, through the proxy that we ship: every table of tests/e2e/attacks.

The stack runs with API_TOKEN set. On compose the tables go through its own proxy; under supervisord straight to
gunicorn, and through HAProxy with deploy/haproxy.cfg, as deploy/vm.md has it. A table is one test: it sends all of its
cases, several at once, and fails with the list of those that came through. What an attack is after, and how one that
worked is seen, is in attacks/oracle.py: an answer that only the token's holder gets, a task that ran, a hidden request
in the web role's log, a status that is none of a refusal.

tests/e2e/test_sweep_control.py sends the same tables to attacks/fooled.py, a server that believes everything, where
each case must be found: one that is not would be found nowhere.

To add a case, add a row to its table, and make the fooled server fall for it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.attacks import forged, frames, headers, http2, page, paths, smuggling, tokens, verbs
from tests.e2e.attacks.guarded import TOKEN, Guarded, guarded_stack, listed
from tests.e2e.attacks.oracle import judged, run
from tests.e2e.attacks.wire import answers, send
from tests.e2e.browser import needs_chromium, opened
from tests.e2e.supervisor import Supervisor
from tests.e2e.targets import Operated, Target
from tests.tls import CONFIG, missing


@pytest.fixture(scope="module")
def guarded(stack: Target) -> Iterator[Guarded]:
    if not hasattr(type(stack), "restarted_with"):
        pytest.skip("needs the operator's rights, so a stack on this machine")
    with guarded_stack(cast(Operated, stack)) as found:
        yield found


def test_haproxy_is_there_for_the_sweep(vm: Supervisor) -> None:
    if reason := missing():
        pytest.skip(f"without it the sweep goes to gunicorn only: {reason}")
    assert CONFIG.exists()


@pytest.mark.runtime
def test_no_verb_opens_a_route_without_the_token(guarded: Guarded) -> None:
    routes = guarded.api.get("/api/openapi.json").json()["paths"]
    assert len(routes) >= 9

    guarded.each(verbs.cases(routes, guarded.world))


@pytest.mark.runtime
def test_no_trick_with_an_address_gets_around_the_token(guarded: Guarded) -> None:
    assert len(paths.TRICKS) >= 40
    guarded.each(paths.cases(guarded.world))


@pytest.mark.runtime
def test_no_form_of_the_token_but_the_right_one_is_taken(guarded: Guarded) -> None:
    cases = tokens.cases(guarded.world)
    assert len(cases) >= 26

    guarded.each(cases)

    # However many were wrong.
    assert guarded.api.get("/api/tasks").status_code == 200


@pytest.mark.runtime
def test_odd_headers_are_refused_in_the_contracts_shape(guarded: Guarded) -> None:
    guarded.each(headers.cases(guarded.world))


@pytest.mark.runtime
def test_no_hidden_request_is_served(guarded: Guarded) -> None:
    cases = smuggling.cases(guarded.world)
    assert len(cases) >= 80

    # While all that could leave a connection out of step is sent, others ask, and get what they asked for.
    victims = smuggling.victims(guarded.world, len(cases))
    guarded.each([case for pair in zip(cases, victims, strict=True) for case in pair], log=True)
    guarded.each(smuggling.pipelined(guarded.world))


@pytest.mark.runtime
def test_no_request_of_http_2_hides_another(guarded: Guarded) -> None:
    cases = http2.cases(guarded.world)
    assert len(cases) >= 20
    bad = {}
    for front in guarded.fronts:
        begun = len(guarded.stack.logs("web"))
        sent = run(front, [*cases, *http2.looks(guarded.world)])
        served = guarded.served(begun)
        for case, raw in sent:
            if (case.inner and case.inner in served) or any(text in raw for text in guarded.world.shown):
                bad[f"{front.name}: {case.name}"] = repr(raw[:200])
        if front.tls:  # as deploy/haproxy.cfg offers it
            assert frames.statuses(send(front, http2.said(http2.fields("GET", "/livez")), "h2")) == [200]
    assert not bad, listed(bad)
    assert not guarded.ran()


@pytest.mark.runtime
def test_http_2_without_tls_is_refused(guarded: Guarded) -> None:
    bad = {}
    for front in guarded.plain:
        for case, raw in run(front, http2.refused(guarded.world)):
            statuses = [each.status for each in answers(raw)] or [0]
            if 101 in statuses or not set(statuses) <= case.allowed or (raw and not raw.startswith(b"HTTP/1.")):
                bad[f"{front.name}: {case.name}"] = f"{statuses} {raw[:100]!r}"
    assert not bad, listed(bad)


@pytest.mark.runtime
def test_no_line_of_a_log_is_forged_and_none_tells_a_secret(guarded: Guarded) -> None:
    cases = forged.lines(guarded.world)
    begun, ran = len(guarded.stack.logs("web")), len(guarded.stack.logs("worker"))

    for front in guarded.fronts:
        bad = judged(front, cases, guarded.world)
        assert not bad, listed(bad)

    assert not guarded.ran()
    found = forged.tainted(guarded.web_log(begun), guarded.world)
    found += forged.tainted(guarded.stack.logs("worker")[ran:], guarded.world)
    found += forged.tainted(guarded.proxy_log(), guarded.world, ours=False)
    assert not found, f"{len(found)} lines:\n" + "\n".join(found[:40])
    assert TOKEN not in guarded.stack.logs()


@pytest.mark.runtime
def test_no_task_that_is_not_offered_is_run_by_any_way(guarded: Guarded) -> None:
    begun = len(guarded.stack.logs("worker"))

    guarded.each(forged.foreign(guarded.world))

    names = [entry["name"] for entry in guarded.api.get("/api/schedules").json()]
    assert f"sweep-{guarded.world.mark}" not in names
    # What beat sends meanwhile is offered, too.
    offered = {info["name"] for info in guarded.api.get("/api/tasks").json()}
    ran = set(re.findall(r'"task": "([^"]*)"', guarded.stack.logs("worker")[begun:]))
    assert "ping" in ran <= offered


@pytest.mark.runtime
@needs_chromium
def test_a_hostile_name_or_result_is_only_text_on_the_page(guarded: Guarded, browser: Browser, tmp_path: Path) -> None:
    text = " ".join(page.HOSTILE)
    schedules = {f"{guarded.world.mark} {number}": one for number, one in enumerate(page.HOSTILE)}
    file = tmp_path / f"{page.HOSTILE[0].replace('/', '')}.csv"
    columns = ",".join(one.replace('"', "'").replace(",", "") for one in page.HOSTILE)
    file.write_text(f"{columns}\n" + ",".join("1" for _ in page.HOSTILE) + "\n")
    try:
        for name, one in schedules.items():
            body = {"task": "fail", "args": [one], "every": 86400, "enabled": False}
            answer = guarded.api.call("PUT", f"/api/schedules/{quote(one + name, safe='')}", json=body)
            assert answer.status_code == 201, answer.text
        with opened(browser, f"{guarded.stack.base_url}/", TOKEN) as tab:
            told = page.watched(tab)
            tab.reload()
            tab.get_by_test_id("task-select").select_option("fail")
            tab.get_by_test_id("field-message").fill(text[:1000])
            tab.get_by_test_id("submit").click()
            expect(tab.get_by_test_id("job").first.get_by_test_id("job-error")).to_contain_text(text[:200])
            tab.get_by_test_id("csv-file").set_input_files(file)
            tab.get_by_test_id("upload").click()
            expect(tab.get_by_test_id("job").first.get_by_test_id("job-result")).to_contain_text("window.hit=1")
            expect(tab.get_by_test_id("schedule").filter(has_text=page.HOSTILE[1])).to_be_visible()
            tab.reload()
            expect(tab.get_by_test_id("job").first.get_by_test_id("job-result")).to_contain_text("window.hit=1")
            assert page.seen(tab, told) == []
    finally:
        for name, one in schedules.items():
            guarded.api.call("DELETE", f"/api/schedules/{quote(one + name, safe='')}")
