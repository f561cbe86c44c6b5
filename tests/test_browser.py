"""The page in a real browser, without the internet: what a visitor does, and nothing goes wrong on the console."""

import os
import shutil
import socket
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")
gradio_client = pytest.importorskip("gradio_client", reason="gradio_client is not installed")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 90
"""Seconds to wait for what the page should show; a busy machine takes its time."""
AXE = Path(os.environ.get("DIFFACE_AXE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
"""The accessibility checker, of `npm install axe-core`."""
TABS = ("Restore a face", "Whole photo", "Inpaint", "Several answers", "Make it worse", "The paper", "How it works")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="module")
def address(astronaut_face, photos, tmp_path_factory):
    sys.path.insert(0, str(ROOT))
    import app
    from space import inpaint

    examples = tmp_path_factory.mktemp("examples")
    (examples / "restored").mkdir()
    astronaut_face.save(examples / "1.png")
    astronaut_face.resize((16, 16)).resize((64, 64)).save(examples / "2.png")
    astronaut_face.save(examples / "restored" / "2.png")
    shutil.copytree(photos, examples / "photos")
    (examples / "clean").mkdir()
    astronaut_face.save(examples / "clean" / "1.png")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inpaint, "STEPS", 20)  # quicker
        page = app.build("tiny", examples)
        app.serve(page, port, prevent_thread_lock=True, quiet=True)
        yield f"http://127.0.0.1:{port}"
        page.close(verbose=False)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for switch in [*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def set_width(browser, width: int, height: int = 1000) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def find(browser, css: str):
    """The visible element, waited for."""
    return WebDriverWait(browser, PATIENCE).until(
        lambda b: next((element for element in b.find_elements(By.CSS_SELECTOR, css) if element.is_displayed()), None),
        css,
    )


def click(browser, css: str) -> None:
    element = find(browser, css)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def wait_for_text(browser, css: str, text: str) -> None:
    WebDriverWait(browser, PATIENCE).until(
        lambda b: any(text in e.text for e in b.find_elements(By.CSS_SELECTOR, css)), text
    )


def screenshot(browser, path: Path) -> None:
    """The whole page."""
    height = browser.execute_script("return document.documentElement.scrollHeight")
    set_width(browser, browser.execute_script("return window.innerWidth"), height)
    browser.save_screenshot(str(path))


def severe(browser) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def open_tab(browser, name: str) -> None:
    xpath = f"//button[@role='tab' and normalize-space()='{name}']"
    WebDriverWait(browser, PATIENCE).until(
        lambda b: any(e.is_displayed() for e in b.find_elements(By.XPATH, xpath)), name
    )
    next(e for e in browser.find_elements(By.XPATH, xpath) if e.is_displayed()).click()


def visit(browser, url: str) -> None:
    """Open a page; what the last one said as it was left amid a run is no error of this one."""
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(url)


def open_page(browser, address: str, tab: str) -> None:
    set_width(browser, 1280)
    visit(browser, address)
    open_tab(browser, tab)


def assert_fits_and_is_described(browser, folder: Path, name: str) -> None:
    """At both widths nothing sticks out, every picture shown has an alternative text, and the console has no error; a
    screenshot is kept.
    """
    for width in (1280, 390):
        set_width(browser, width)
        WebDriverWait(browser, PATIENCE).until(
            lambda b, width=width: b.execute_script("return document.documentElement.scrollWidth") <= width, name
        )
        screenshot(browser, folder / f"{name}_{width}.png")
        shown = [image for image in browser.find_elements(By.TAG_NAME, "img") if image.is_displayed()]
        assert all(image.get_attribute("alt") for image in shown)
    set_width(browser, 1280)
    assert severe(browser) == []


def handle(browser, css: str):
    """The handle of a before/after slider."""
    return find(browser, f"{css} [data-testid=slider]")


def is_in_sight(browser, css: str) -> bool:
    """Whether an element is in the window, all of it or, where it is higher than the window, filling it."""
    script = (
        "const box = arguments[0].getBoundingClientRect(), high = window.innerHeight;"
        "return (box.top >= -1 && box.bottom <= high + 1) || (box.top <= 1 && box.bottom >= high - 1)"
    )
    return browser.execute_script(script, find(browser, css))


def is_greyed(browser, css: str) -> bool:
    return "grayscale" in browser.execute_script(
        "return getComputedStyle(arguments[0]).filter", find(browser, f"{css} img")
    )


def wait_for_the_download(browser, css: str, there: bool) -> None:
    WebDriverWait(browser, PATIENCE).until(lambda b: find(b, css).is_enabled() is there, f"{css}: {there}")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_a_newcomer_sees_a_result_and_gets_one_of_their_own_by_one_click(browser, address, width, height):
    set_width(browser, width, height)
    visit(browser, address)
    find(browser, "#result img")
    assert "embedded models (small) restored it" in find(browser, "#summary").text
    assert is_in_sight(browser, "#restore") and not find(browser, "#download").is_enabled()
    find(browser, "#face-examples button").click()  # no scrolling, no other click
    wait_for_text(browser, "#summary", "5 network calls from N = 250")
    wait_for_the_download(browser, "#download", True)
    WebDriverWait(browser, PATIENCE).until(lambda b: is_in_sight(b, "#result"))
    assert severe(browser) == []


def test_restore_an_example(browser, address, tmp_path):
    set_width(browser, 1280)
    visit(browser, address)
    assert "smallest embedded models" in find(browser, "#banner").text
    click(browser, "#face-examples button img")
    wait_for_text(browser, "#summary", "5 network calls from N = 250")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#result img")) == 2
    assert len(find(browser, "#files").find_elements(By.CSS_SELECTOR, "a[download]")) >= 4
    click(browser, "#between button")
    find(browser, "#seen img")
    find(browser, "#estimate img")
    wait_for_the_download(browser, "#download", True)
    before = handle(browser, "#result").location["x"]
    webdriver.ActionChains(browser).drag_and_drop_by_offset(handle(browser, "#result"), 80, 0).perform()
    assert handle(browser, "#result").location["x"] > before + 40
    assert_fits_and_is_described(browser, tmp_path, "restore")


def test_who_waits_is_told_may_cancel_and_is_served_once_the_other_cancels(browser, address, astronaut_face, tmp_path):
    """Another visitor's run of 1000 calls is under way; nothing of a queue is left on the page after *Cancel*."""
    client = gradio_client.Client(address, verbose=False, analytics_enabled=False)
    astronaut_face.save(tmp_path / "face.png")
    face = gradio_client.handle_file(tmp_path / "face.png")
    other = client.submit(face=face, aligned=True, scheduler="ddim", steps=1000, start=1000, api_name="/restore")
    WebDriverWait(browser, PATIENCE).until(lambda _: len(other.outputs()) > 2)
    set_width(browser, 1280)
    visit(browser, address)
    for _ in range(2):
        click(browser, "#face-examples button img")  # runs at once
        WebDriverWait(browser, PATIENCE).until(lambda b: waits(b) == ["you are next"])
        click(browser, "#restore-cancel")
        WebDriverWait(browser, PATIENCE).until(lambda b: waits(b) == [])
    click(browser, "#restore")
    WebDriverWait(browser, PATIENCE).until(lambda b: waits(b) == ["you are next"])
    assert not other.done()
    other.cancel()
    wait_for_text(browser, "#summary", "5 network calls from N = 250")
    assert waits(browser) == [] and severe(browser) == []


def waits(browser) -> list[str]:
    """What the page says of the queue, wherever it is seen."""
    script = (
        "return [...document.querySelectorAll('.meta-text, .meta-text-center')].filter((e) => e.offsetParent)"
        ".map((e) => e.dataset.said || '').filter(Boolean)"
    )
    return browser.execute_script(script)


def test_a_result_of_other_settings_or_another_picture_is_greyed(browser, address):
    set_width(browser, 1280)
    visit(browser, address)
    click(browser, "#face-examples button img")
    wait_for_text(browser, "#summary", "seed 0")
    wait_for_the_download(browser, "#download", True)
    assert not is_greyed(browser, "#result")
    click(browser, ".presets label:nth-of-type(3)")  # very bad
    wait_for_the_download(browser, "#download", False)
    assert is_greyed(browser, "#result") and "changed" in find(browser, "#restore-stale").text
    click(browser, ".presets label:nth-of-type(2)")  # back
    wait_for_the_download(browser, "#download", True)
    assert not is_greyed(browser, "#result")
    click(browser, "#another")
    wait_for_text(browser, "#summary", "seed 1")
    wait_for_the_download(browser, "#download", True)
    click(browser, "#face button[aria-label='Remove Image']")
    wait_for_the_download(browser, "#download", False)
    assert is_greyed(browser, "#result")
    assert severe(browser) == []


def test_what_another_run_made_is_not_to_be_fetched_while_the_last_one_goes_on(browser, address):
    """An example's run (1) ends after the button (0) was pressed with other settings."""
    visit(browser, address)
    find(browser, "#restore")
    script = """
        const { difface } = window;
        difface.began("run", ["face", 250], "result", 1, [0, 1]);
        difface.began("run", ["face", 400], "result", 0, [0, 1]);
        return [
            difface.made("run", ["face", 400], "result", 1), difface.changed("run", ["face", 400], 1),
            difface.made("run", ["face", 400], "result", 0), difface.changed("run", ["face", 400], 0),
        ].map((told) => told[1].interactive);
    """
    assert browser.execute_script(script) == [False, False, True, False]


def test_a_face_that_is_not_found_is_shown_by_the_visitor(browser, address, tmp_path):
    Image.new("RGB", (300, 200), "grey").save(tmp_path / "wall.png")
    set_width(browser, 1280)
    visit(browser, address)
    find(browser, "#restore")
    browser.find_element(By.CSS_SELECTOR, "#face input[type=file]").send_keys(str(tmp_path / "wall.png"))
    wait_for_text(browser, "#judged", "Put the square on the face")
    click(browser, "#restore")
    wait_for_text(browser, "[data-testid=toast-body], .toast-body", "no face was found")
    click(browser, "#square-picture img")
    click(browser, "#square-use")
    wait_for_text(browser, "#summary", "the file has the 200 × 200")
    wait_for_the_download(browser, "#download", True)
    WebDriverWait(browser, PATIENCE).until(lambda b: not b.find_elements(By.CSS_SELECTOR, "#square-use"))
    assert severe(browser) == []


def test_from_a_result_to_the_map_of_what_is_made_up(browser, address):
    set_width(browser, 1280)
    visit(browser, address)
    click(browser, "#face-examples button img")
    wait_for_text(browser, "#summary", "seed 0")
    click(browser, "#where")
    wait_for_text(browser, "#certainty", "The 4 answers all fit the photo")
    assert is_in_sight(browser, "#map")
    assert severe(browser) == []


def test_the_main_path_by_keyboard_alone(browser, address):
    set_width(browser, 1280)
    visit(browser, address)
    find(browser, "#restore")

    def tab_to(test: str) -> None:
        for _ in range(60):
            webdriver.ActionChains(browser).send_keys(Keys.TAB).perform()
            if browser.execute_script(f"return Boolean(document.activeElement.closest('{test}'))"):
                return
        raise AssertionError(f"{test} was not reached")

    tab_to("#face-examples button")
    webdriver.ActionChains(browser).send_keys(Keys.ENTER).perform()
    wait_for_text(browser, "#summary", "seed 0")
    wait_for_the_download(browser, "#download", True)
    tab_to("#restore")
    browser.execute_script("document.querySelector('#summary p').textContent = ''")  # the same will stand there again
    webdriver.ActionChains(browser).send_keys(Keys.ENTER).perform()
    wait_for_text(browser, "#summary", "5 network calls from N = 250")
    wait_for_the_download(browser, "#download", True)
    tab_to("#result [data-testid=slider]")
    before = handle(browser, "#result").location["x"]
    webdriver.ActionChains(browser).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).perform()
    assert handle(browser, "#result").location["x"] > before + 20
    wait_for_the_download(browser, "#download", True)
    tab_to("#download")
    assert severe(browser) == []


def test_restore_a_photo_with_several_faces(browser, address, tmp_path):
    open_page(browser, address, "Whole photo")
    find(browser, "#photo-examples button img")
    browser.find_elements(By.CSS_SELECTOR, "#photo-examples button img")[-1].click()  # the wall of six
    wait_for_text(browser, "#photo-found", "faces were found")
    boxes = browser.find_elements(By.CSS_SELECTOR, "#photo-faces input[type=checkbox]")
    assert len(boxes) >= 3
    for box in boxes[1:]:
        box.is_selected() or box.click()
    if boxes[0].is_selected():
        boxes[0].click()
    click(browser, "#photo-restore")
    wait_for_text(browser, "#photo-summary", f"{len(boxes) - 1} faces were restored")
    wait_for_the_download(browser, "#photo-download", True)
    WebDriverWait(browser, PATIENCE).until(lambda b: is_in_sight(b, "#photo-result"))
    boxes[0].click()
    wait_for_the_download(browser, "#photo-download", False)
    assert is_greyed(browser, "#photo-result")
    boxes[0].click()
    wait_for_the_download(browser, "#photo-download", True)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#photo-result img")) == 2
    assert_fits_and_is_described(browser, tmp_path, "photo")


def test_fill_in_what_is_painted_and_what_a_mask_hides(browser, address, tmp_path):
    open_page(browser, address, "Inpaint")
    click(browser, "#inpaint-face-examples button img")
    canvas = find(browser, "#inpaint-canvas canvas")
    assert canvas.get_attribute("aria-label") == "Paint here"
    click(browser, "#inpaint-kind input[value=half]")  # at once: the face may still be under way
    WebDriverWait(browser, PATIENCE).until(
        lambda b: b.find_element(By.CSS_SELECTOR, "#inpaint-kind input[value=half]").is_selected()
    )
    time.sleep(2)  # the canvas draws without a sign that it has ended
    stroke = webdriver.ActionChains(browser).move_to_element_with_offset(canvas, -60, -60).click_and_hold()
    stroke.move_by_offset(60, 10).move_by_offset(20, 10).release().perform()
    click(browser, "button#inpaint")
    wait_for_text(browser, "#inpaint-summary", "of the face was missing")
    share = int(find(browser, "#inpaint-summary").text.split("%")[0])
    assert 51 <= share <= 70  # half, and the stroke
    assert len(browser.find_elements(By.CSS_SELECTOR, "#inpaint-result img")) == 2
    click(browser, "#inpaint-between button")
    find(browser, "#inpaint-estimate img")
    assert_fits_and_is_described(browser, tmp_path, "inpaint")


def on_canvas(browser, name: str):
    return find(browser, f"#inpaint-canvas button[aria-label='{name}']")


def painted_share(browser) -> float:
    """Part of the canvas that is white on a screenshot, in percent."""
    with Image.open(BytesIO(find(browser, "#inpaint-canvas .pixi-target canvas").screenshot_as_png)) as picture:
        return 100 * np.mean(np.asarray(picture.convert("RGB")).min(2) == 255)


def test_holes_by_keyboard_and_no_way_to_lose_the_face(browser, address):
    open_page(browser, address, "Inpaint")
    click(browser, "#inpaint-face-examples button img")
    find(browser, "#inpaint-canvas canvas")
    WebDriverWait(browser, PATIENCE).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#inpaint-original img"))
    time.sleep(2)  # the canvas draws without a sign that it has ended
    blank = painted_share(browser)
    for _ in range(3):
        on_canvas(browser, "Undo").click()  # nothing is painted: the face stays
    assert painted_share(browser) == pytest.approx(blank, abs=0.5)
    click(browser, "#inpaint-rectangle button")
    click(browser, "#inpaint-mark")  # 40 % by 20 % of the face
    WebDriverWait(browser, PATIENCE).until(lambda b: painted_share(b) > blank + 2)
    canvas = find(browser, "#inpaint-canvas .pixi-target canvas")
    browser.execute_script("document.activeElement.blur(); arguments[0].scrollIntoView({block: 'center'})", canvas)
    webdriver.ActionChains(browser).key_down("o").perform()
    find(browser, "#inpaint-original img")
    assert painted_share(browser) < blank + 1
    webdriver.ActionChains(browser).key_up("o").send_keys("]").perform()
    slider = "#inpaint-canvas .size_picker input"
    read = "const one = document.querySelector(arguments[0]); return one && one.value"
    WebDriverWait(browser, PATIENCE).until(lambda b: b.execute_script(read, slider) == "45")
    WebDriverWait(browser, PATIENCE).until(lambda b: not b.find_elements(By.CSS_SELECTOR, slider))  # it hid the canvas
    click(browser, "button#inpaint")
    wait_for_text(browser, "#inpaint-summary", "of the face was missing")
    share = int(find(browser, "#inpaint-summary").text.partition("%")[0])
    assert 8 <= share <= 10, "8 %, and the pixels of the model that its edges cut"
    on_canvas(browser, "Clear canvas").click()
    WebDriverWait(browser, PATIENCE).until(lambda b: painted_share(b) == pytest.approx(blank, abs=0.5))
    assert severe(browser) == []


def test_several_answers_and_the_certainty_map(browser, address, tmp_path):
    open_page(browser, address, "Several answers")
    click(browser, "#answers-face-examples button img")
    wait_for_text(browser, "#certainty", "The 4 answers all fit the photo")
    assert "grey levels" in find(browser, "#certainty").text
    assert len(browser.find_elements(By.CSS_SELECTOR, "#map img")) == 2
    assert len(browser.find_elements(By.CSS_SELECTOR, "#answers .thumbnail-item img")) == 4
    wait_for_the_download(browser, "#answers-download", True)
    assert is_in_sight(browser, "#map")
    first = find(browser, "#map img").get_attribute("src")
    browser.find_elements(By.CSS_SELECTOR, "#answers .thumbnail-item")[2].click()
    WebDriverWait(browser, PATIENCE).until(lambda b: find(b, "#map img").get_attribute("src") != first)
    assert_fits_and_is_described(browser, tmp_path, "answers")


def test_make_a_face_worse_and_restore_it(browser, address, tmp_path):
    open_page(browser, address, "Make it worse")
    click(browser, "#astronaut")
    find(browser, "#worse img")
    click(browser, "#restore-worse")
    wait_for_text(browser, "#worse-summary", "shrinks that to")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#worse-answers .thumbnail-item img")) == 4
    assert_fits_and_is_described(browser, tmp_path, "worse")


def test_a_figure_a_table_and_how_it_works(browser, address, tmp_path):
    open_page(browser, address, "The paper")
    wait_for_text(browser, "#table", "Table I:")
    click(browser, "#draw")
    find(browser, "#figure img")
    assert_fits_and_is_described(browser, tmp_path, "paper")
    open_tab(browser, "How it works")
    wait_for_text(browser, "#curve", "of the estimate's error is left")
    assert_fits_and_is_described(browser, tmp_path, "about")


def test_a_picture_without_faces_is_offered_as_one_face(browser, address, tmp_path):
    Image.new("RGB", (300, 200), "grey").save(tmp_path / "wall.png")
    open_page(browser, address, "Whole photo")
    find(browser, "#photo-restore")
    browser.find_element(By.CSS_SELECTOR, "#photo input[type=file]").send_keys(str(tmp_path / "wall.png"))
    wait_for_text(browser, "#photo-found", "No face was found by")
    click(browser, "#photo-as-face")
    find(browser, "#face img")
    click(browser, "#square-whole")
    wait_for_text(browser, "#summary", "the file has the 300 × 200")
    assert severe(browser) == []


def test_fields_follow_the_sampler(browser, address, tmp_path):
    set_width(browser, 1280)
    visit(browser, address)
    click(browser, ".settings button.label-wrap")
    click(browser, "input[aria-label='Sampler']")
    screenshot(browser, tmp_path / "choices.png")
    click(browser, "li[data-value='ddim'], li[aria-label^='DDIM']")
    find(browser, "input[aria-label='DDIM steps']")
    find(browser, "input[aria-label^='range slider for η']")
    assert not any(
        e.is_displayed() for e in browser.find_elements(By.CSS_SELECTOR, "input[aria-label*='Network calls']")
    )
    screenshot(browser, tmp_path / "ddim.png")
    assert severe(browser) == []


def test_a_bad_upload_is_told_so(browser, address, tmp_path):
    set_width(browser, 1280)
    visit(browser, address)
    bad = tmp_path / "broken.png"
    bad.write_bytes(b"this is not a picture")
    find(browser, "#restore")
    browser.find_element(By.CSS_SELECTOR, "#face input[type=file]").send_keys(str(bad))
    find(browser, "#face img")
    click(browser, "#restore")
    wait_for_text(browser, "[data-testid=toast-body], .toast-body", "broken.png is not a picture")
    assert "embedded models (small)" in find(browser, "#summary").text  # still there, greyed
    WebDriverWait(browser, PATIENCE).until(lambda b: is_greyed(b, "#result"))
    screenshot(browser, tmp_path / "refused.png")
    assert severe(browser) == []


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed (npm install axe-core, or DIFFACE_AXE)")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_serious_or_moderate_stands_in_anyones_way(browser, address, theme, width):
    """On every tab, its folded parts open; on the first with a result, too."""
    set_width(browser, width)
    visit(browser, f"{address}?__theme={theme}")
    click(browser, "#face-examples button")
    wait_for_text(browser, "#summary", "5 network calls from N = 250")
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    found = []
    for tab in TABS:
        open_tab(browser, tab)
        for fold in browser.find_elements(By.CSS_SELECTOR, "button.label-wrap:not(.open)"):
            if fold.is_displayed():
                browser.execute_script("arguments[0].click()", fold)
        time.sleep(1)  # what folds open moves for a while
        script = (
            "const done = arguments[0]; axe.run(document, {rules: {'target-size': {enabled: true}}}).then((result) => "
            "done(result.violations.flatMap((one) => one.nodes.map((node) => [one.impact, one.id, node.html]))))"
        )
        found += [(tab, *one) for one in browser.execute_async_script(script) if one[0] != "minor"]
    assert found == []


def test_from_tab_to_tab_by_the_arrow_keys(browser, address):
    for width in (390, 768):
        set_width(browser, width)
        visit(browser, address)
        find(browser, "#restore")
        tabs = browser.find_elements(By.CSS_SELECTOR, "[role=tablist]:not(.visually-hidden) [role=tab]")
        assert [tab.text for tab in tabs if tab.is_displayed()] == list(TABS)  # none in a hidden menu
        tabs[0].send_keys(Keys.ARROW_RIGHT)
        find(browser, "#photo-restore")
        browser.switch_to.active_element.send_keys(Keys.END)
        find(browser, "#curve")
        browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
        find(browser, "#restore")


def test_the_tab_stands_in_the_address(browser, address):
    open_page(browser, address, "The paper")
    WebDriverWait(browser, PATIENCE).until(lambda b: "tab=paper" in b.current_url)
    visit(browser, browser.current_url)
    wait_for_text(browser, "#table", "Table I:")
    visit(browser, f"{address}?tab=nonesuch")
    find(browser, "#restore")
    click(browser, "#send-worse")  # the tab is changed by a button
    WebDriverWait(browser, PATIENCE).until(lambda b: "tab=worse" in b.current_url)
    find(browser, "#invent")
    assert severe(browser) == []
