"""The page in a real browser, without the internet: an example is restored, and nothing goes wrong on the console."""

import shutil
import socket
import sys
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
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
def address(astronaut_face, tmp_path_factory):
    sys.path.insert(0, str(ROOT))
    import app

    examples = tmp_path_factory.mktemp("examples")
    astronaut_face.save(examples / "1.png")
    astronaut_face.resize((16, 16)).resize((64, 64)).save(examples / "2.png")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
    return WebDriverWait(browser, 20).until(
        lambda b: next((element for element in b.find_elements(By.CSS_SELECTOR, css) if element.is_displayed()), None),
        css,
    )


def click(browser, css: str) -> None:
    element = find(browser, css)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def wait_for_text(browser, css: str, text: str) -> None:
    WebDriverWait(browser, 30).until(lambda b: any(text in e.text for e in b.find_elements(By.CSS_SELECTOR, css)), text)


def screenshot(browser, path: Path) -> None:
    """The whole page."""
    height = browser.execute_script("return document.documentElement.scrollHeight")
    set_width(browser, browser.execute_script("return window.innerWidth"), height)
    browser.save_screenshot(str(path))


def severe(browser) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_restore_an_example(browser, address, tmp_path):
    set_width(browser, 1280)
    browser.get(address)
    click(browser, "#examples button img")
    find(browser, "#face img")
    click(browser, "#restore")
    wait_for_text(browser, "#summary", "5 network calls from N = 250")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#result img")) == 2
    find(browser, "#estimate img")
    link = find(browser, "#download")
    assert link.is_enabled()
    screenshot(browser, tmp_path / "wide.png")

    set_width(browser, 390)
    find(browser, "#result img")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    screenshot(browser, tmp_path / "narrow.png")
    assert severe(browser) == []


def test_fields_follow_the_sampler(browser, address, tmp_path):
    set_width(browser, 1280)
    browser.get(address)
    click(browser, "button.label-wrap")
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
    browser.get(address)
    bad = tmp_path / "broken.png"
    bad.write_bytes(b"this is not a picture")
    find(browser, "#restore")
    browser.find_element(By.CSS_SELECTOR, "#face input[type=file]").send_keys(str(bad))
    find(browser, "#face img")
    click(browser, "#restore")
    wait_for_text(browser, "[data-testid=toast-body], .toast-body", "broken.png is not a picture")
    screenshot(browser, tmp_path / "refused.png")
    assert severe(browser) == []
