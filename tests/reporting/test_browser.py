"""The report in a real browser: what a reader does with mouse and keyboard, and what the page may not do."""

from __future__ import annotations

import json
import re
import shutil
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.reporting.page import render_report
from tests.reporting.contents import content, heat, with_heat
from tests.reporting.reader import EVIL
from tests.reporting.test_style import contrast

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="takes Chromium and its driver: apt-get install chromium chromium-driver"
)
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1400,1000",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs with heat maps, in which a class, an image and the title are HTML."""
    folder = tmp_path_factory.mktemp("report")
    made = with_heat(content(folder, classes=("A & B", EVIL)), heat(EVIL, predicted=EVIL))
    path = folder / "page.html"
    path.write_text(render_report(replace(made, title=f"of {EVIL}")), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="takes selenium: pip install 'cxrfeat[dev]'")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    # No window manager gives the window the focus, and without it newer browsers tell no element that it has got it.
    driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    yield driver
    driver.quit()


@pytest.fixture
def driver(chromium: Any, page: Path) -> Any:
    """The browser with the page freshly opened, and nothing in its logs from before."""
    from selenium.webdriver.support.wait import WebDriverWait

    chromium.get("about:blank")  # else the browser may still answer for the page that it is about to leave
    for log in ("browser", "performance"):
        chromium.get_log(log)
    chromium.get(page.as_uri())
    WebDriverWait(chromium, 30).until(lambda one: one.execute_script("return document.readyState") == "complete")
    return chromium


def all_of(driver: Any, what: str) -> list[Any]:
    found: list[Any] = driver.find_elements("css selector", what)
    return found


def one(driver: Any, what: str) -> Any:
    return driver.find_element("css selector", what)


def press(driver: Any, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(driver).send_keys(*keys).perform()


def requests(driver: Any) -> list[str]:
    """Addresses that the browser asked for since it was last asked."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]


def test_nothing_is_wrong_and_nothing_leaves_the_page(driver: Any, page: Path) -> None:
    assert one(driver, "h1").text == f"of {EVIL}"
    press(driver, "\ue004")  # Tab: whatever runs only later runs now
    driver.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    driver.execute_script("scrollTo(0, document.body.scrollHeight)")
    assert [url for url in requests(driver) if not url.startswith("data:image/")] == [page.as_uri()]
    assert driver.get_log("browser") == []
    broken = "return [...document.images].filter((one) => !(one.complete && one.naturalWidth)).length"
    assert driver.execute_script(broken) == 0


def test_an_address_that_ends_in_nonsense_stops_nothing(driver: Any, page: Path) -> None:
    driver.get("about:blank")  # so that the script runs anew
    driver.get(f"{page.as_uri()}#%")
    driver.execute_script("document.querySelector('.plane .dot').dispatchEvent(new Event('focusin', {bubbles: true}))")
    assert len(all_of(driver, ".plane .dot.chosen")) == 1, "what comes after it in the script is there"
    assert driver.get_log("browser") == []


def test_a_class_that_is_html_does_nothing_and_is_read_as_text(driver: Any) -> None:
    from selenium.common.exceptions import NoAlertPresentException

    with pytest.raises(NoAlertPresentException):
        _ = driver.switch_to.alert
    assert EVIL in [cell.text for cell in all_of(driver, ".confusion tbody th")]
    assert all_of(driver, "img[src='x'], [onerror]") == []
    dot = next(dot for dot in all_of(driver, ".plane .dot") if EVIL in dot.get_attribute("aria-label"))
    driver.execute_script("arguments[0].focus()", dot)
    assert EVIL in one(driver, ".told p").text, "where a script writes it too"
    assert all_of(driver, ".told img") == []


class Listener(BaseHTTPRequestHandler):
    """Counts what reaches it."""

    heard: list[str]

    def do_GET(self) -> None:  # the name that the base class calls
        self.heard.append(self.path)
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:  # say nothing
        return


BLOCKED = [
    "connect-src", "form-action", "frame-src", "img-src", "script-src-attr", "script-src-elem", "style-src-attr",
]  # fmt: skip


def test_what_is_smuggled_in_does_not_run_and_reaches_nobody(driver: Any) -> None:
    heard: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Ear", (Listener,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        driver.set_script_timeout(20)
        said = driver.execute_async_script(
            """
            const [address, awaited, done] = arguments, blocked = new Set(), start = Date.now();
            document.addEventListener("securitypolicyviolation", (event) => blocked.add(event.effectiveDirective));
            const put = (markup) => document.body.insertAdjacentHTML("beforeend", markup);
            put('<img src="data:," onerror="window.hit = 1">');
            put('<b onclick="window.hit = 1" id="bait">x</b>');
            put(`<img src="${address}/img"><iframe src="${address}/frame"></iframe>`);
            put(`<form action="${address}/form" method="post" id="send"></form><b style="color: red">x</b>`);
            const script = document.createElement("script");
            script.textContent = "window.hit = 1";
            document.body.append(script);
            document.getElementById("bait").click();
            document.getElementById("send").submit();
            fetch(`${address}/fetch`).catch(() => {});
            const all = () => awaited.every((one) => blocked.has(one)) || Date.now() > start + 15000;
            const look = () => all()
              ? setTimeout(() => done({ hit: window.hit ?? null, blocked: [...blocked] }), 300)
              : setTimeout(look, 50);
            look();
            """,
            address,
            BLOCKED,
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert said["hit"] is None
    assert heard == []
    assert set(said["blocked"]) >= set(BLOCKED)


def order(driver: Any, column: int) -> list[str]:
    cells = all_of(driver, f"table.sortable tbody tr > *:nth-child({column})")
    return [cell.get_attribute("data-value") for cell in cells]


def test_the_table_sorts_by_click_and_by_keyboard(driver: Any) -> None:
    heads = all_of(driver, "table.sortable thead th")
    buttons = all_of(driver, "table.sortable thead th button")
    names = [button.text for button in buttons]
    assert [head.get_attribute("aria-sort") for head in heads].count("descending") == 1
    seconds = names.index("seconds")
    buttons[seconds].click()
    times = [float(value) for value in order(driver, seconds + 1)]
    assert times == sorted(times, reverse=True)
    assert heads[seconds].get_attribute("aria-sort") == "descending"
    assert [head.get_attribute("aria-sort") for head in heads].count("none") == len(heads) - 1
    status = one(driver, ".scroll [role=status]")
    assert status.get_attribute("textContent") == "Sorted by seconds, descending."
    press(driver, "\ue007")  # Enter, on the button that was clicked
    assert [float(value) for value in order(driver, seconds + 1)] == sorted(times)
    assert heads[seconds].get_attribute("aria-sort") == "ascending"
    driver.execute_script("arguments[0].focus()", buttons[0])
    press(driver, " ")
    assert order(driver, 1) == ["logreg", "softmax"], "texts from A to Z first"
    press(driver, " ")
    assert order(driver, 1) == ["softmax", "logreg"]


def test_the_slider_goes_between_the_image_and_its_heat(driver: Any) -> None:
    slider, over = one(driver, ".heat input[type=range]"), one(driver, ".heat .over")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", slider)
    assert float(over.value_of_css_property("opacity")) == 1
    driver.execute_script("arguments[0].focus()", slider)
    press(driver, "\ue011")  # Home
    assert slider.get_attribute("value") == "0"
    wait_for_opacity(driver, over, 0)
    press(driver, "\ue014", "\ue014")  # to the right, twice
    assert slider.get_attribute("aria-valuetext") == "10 % heat"
    assert one(driver, ".heat output").text == "10 %"
    wait_for_opacity(driver, over, 0.1)
    from selenium.webdriver import ActionChains

    ActionChains(driver).click(slider).perform()  # its middle
    assert 40 <= int(slider.get_attribute("value")) <= 60


def wait_for_opacity(driver: Any, over: Any, wanted: float) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(driver, 5).until(lambda _: abs(float(over.value_of_css_property("opacity")) - wanted) < 0.01)


def test_a_point_tells_what_it_is_under_the_mouse_and_in_the_focus(driver: Any) -> None:
    from selenium.webdriver import ActionChains

    dots = all_of(driver, ".plane .dot")
    tile, words = one(driver, ".told svg.tile"), one(driver, ".told p")
    assert not tile.is_displayed()
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", dots[0])
    ActionChains(driver).move_to_element(dots[0]).perform()
    assert words.text == dots[0].get_attribute("aria-label")
    assert tile.is_displayed()
    before = tile.get_dom_attribute("viewBox")
    side, wide = (int(one(driver, ".map").get_attribute(f"data-{name}")) for name in ("side", "columns"))
    down, across = divmod(int(dots[0].get_attribute("data-tile")), wide)
    assert before == f"{across * side} {down * side} {side} {side}"
    assert [dot.get_attribute("tabindex") for dot in dots].count("0") == 1, "one stop for Tab"
    driver.execute_script("arguments[0].focus()", dots[0])
    press(driver, "\ue010")  # End
    active = driver.switch_to.active_element
    assert active == dots[-1]
    assert words.text == active.get_attribute("aria-label") != dots[0].get_attribute("aria-label")
    assert tile.get_dom_attribute("viewBox") != before
    press(driver, "\ue012")  # to the left
    moved = driver.switch_to.active_element
    places = [float(dot.get_attribute("transform")[10:].split()[0]) for dot in (active, moved)]
    assert places[1] < places[0]
    assert [dot.get_attribute("tabindex") for dot in dots].count("0") == 1
    assert moved.get_attribute("tabindex") == "0"


def test_marks_go_by_source_when_asked(driver: Any) -> None:
    dots = all_of(driver, ".plane .dot")
    dot = next(dot for dot in dots if dot.get_attribute("data-class") != dot.get_attribute("data-source"))
    before = (dot.get_dom_attribute("d"), dot.get_dom_attribute("class"))
    driver.execute_script("document.querySelector('.map').scrollIntoView()")
    one(driver, ".map input[value=source]").click()
    assert dot.get_dom_attribute("d") != before[0]
    assert dot.get_dom_attribute("class") != before[1]
    assert not one(driver, ".legend[data-by=class]").is_displayed()
    assert one(driver, ".legend[data-by=source]").text.split() == ["A", "B"]
    one(driver, ".map input[value=class]").click()
    assert (dot.get_dom_attribute("d"), dot.get_dom_attribute("class")) == before


def test_a_link_opens_the_run_it_leads_to_and_buttons_open_all(driver: Any) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    runs = all_of(driver, "details.run")
    assert [run.get_attribute("open") is not None for run in runs] == [True, False]
    href = runs[1].get_attribute("id")
    one(driver, f"table.sortable a[href='#{href}']").click()
    # The browser tells the page of its new address after the click.
    WebDriverWait(driver, 10).until(lambda _: runs[1].get_attribute("open") is not None)
    one(driver, "#close-runs").click()
    assert not any(run.get_attribute("open") is not None for run in runs)
    one(driver, "#open-runs").click()
    assert all(run.get_attribute("open") is not None for run in runs)


@pytest.mark.parametrize("width", [320, 390, 768, 1400])
def test_no_width_makes_the_page_scroll_sideways(width: int, driver: Any) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        driver.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_table_is_cut_on_a_telephone_without_a_sign(driver: Any) -> None:
    size = driver.get_window_size()
    look = """
        document.querySelectorAll('details').forEach((one) => { one.open = true; });
        return [...document.querySelectorAll('.scroll')].map((box) => [
          box.getAttribute('aria-label'), box.scrollWidth > box.clientWidth + 1,
          box.previousElementSibling.checkVisibility() && box.previousElementSibling.className === 'hint',
        ])"""
    try:
        seen = {}
        for width in (390, 1400):
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False},
            )
            driver.execute_script(look)
            driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
            seen[width] = driver.execute_script(look)
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert [name for name, wide, told in seen[390] if wide != told] == []
        assert [name for name, wide, told in seen[1400] if wide != told] == []
        assert any(wide for _, wide, _ in seen[390]), "the table of scores has nine columns"
        assert not any(wide for _, wide, _ in seen[1400])
        assert not any(wide for name, wide, _ in seen[390] if name == "Confusion matrix"), "it keeps its columns"
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.set_window_size(size["width"], size["height"])


def test_it_is_dark_where_the_reader_likes_it_dark_and_white_on_paper(driver: Any) -> None:
    def ground(**media: Any) -> list[int]:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        found = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        return [int(part) for part in found[found.index("(") + 1 : -1].split(",")[:3]]

    def prefer(value: str) -> list[dict[str, str]]:
        return [{"name": "prefers-color-scheme", "value": value}]

    try:
        assert min(ground(features=prefer("light"))) > 240
        assert max(ground(features=prefer("dark"))) < 60
        assert ground(media="print", features=prefer("dark")) == [255, 255, 255]
        shown = [one(driver, what).is_displayed() for what in ("nav", ".actions", ".heat label", ".told")]
        assert not any(shown)
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    printed = b64decode(driver.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") + printed.count(b"/Type /Page/") > 1


@pytest.mark.slow
def test_every_control_can_be_reached_with_tab_and_shows_it(driver: Any) -> None:
    kinds: set[str] = set()
    driver.execute_script("document.activeElement.blur()")
    for _ in range(120):
        press(driver, "\ue004")
        active = driver.switch_to.active_element
        kinds.add(f"{active.tag_name}.{(active.get_attribute('class') or '').split(' ')[0]}")
        if active.tag_name != "body":
            assert driver.execute_script("return getComputedStyle(arguments[0]).outlineStyle", active) != "none"
    assert {"a.skip", "a.", "button.", "summary.", "input.", "path.dot", "div.scroll"} <= kinds


@pytest.mark.few(1)
@pytest.mark.parametrize("status", ["fail", "warn", "pass"])
def test_an_alarm_can_be_read_whatever_else_failed(status: str, driver: Any) -> None:
    script = """
        const box = document.querySelector(".verdict");
        box.className = "verdict alarm " + arguments[0];
        return [box.querySelector(".headline"), box.querySelector("p:last-of-type"), box]
            .map((one) => getComputedStyle(one)).map((style, place) => place < 2 ? style.color : style.backgroundColor);
    """
    headline, paragraph, ground = (
        f"#{int(r):02x}{int(g):02x}{int(b):02x}"
        for r, g, b in (re.findall(r"\d+", colour)[:3] for colour in driver.execute_script(script, status))
    )
    assert contrast(headline, ground) >= 7
    assert contrast(paragraph, ground) >= 7
