() => {
  // What a result was made from: greyed, and not to be downloaded, while the fields hold something else.
  // Name of a result -> the fields' values when it was asked for, what began its run (a button, an example), and
  // whether that ended well: another that began before may end in between.
  const made = {};
  const plain = (value) => (Array.isArray(value) ? [...value].sort() : (value && value.path) || value);
  const key = (values) => JSON.stringify(values.map(plain)); // of a picture its file, of ticks which, in any order
  const bring = (place) => {
    const element = document.getElementById(place);
    if (element) element.scrollIntoView({ block: "nearest" });
  };
  window.difface = {
    began(name, values, place, by, compared) {
      made[name] = { from: key(compared.map((k) => values[k])), by, well: false };
      bring(place);
      return values;
    },
    made(name, values, place, by) {
      if (made[name] && made[name].by === by) made[name].well = true;
      setTimeout(() => bring(place), 100); // once the picture has its height
      return this.compare(name, values);
    },
    changed(name, values, by) {
      if (made[name] && [made[name].by, undefined].includes(by)) made[name].from = null;
      return this.compare(name, values);
    },
    compare(name, values) {
      const run = made[name] || {};
      const same = run.from === key(values);
      const text = "<p class='stale'>Picture or settings changed: press the button for a new result.</p>";
      const there = Boolean(same && run.well);
      return [same ? "" : text, { __type__: "update", interactive: there }, { __type__: "update", visible: there }];
    },
  };
  // Pictures without an alternative text get the label of the field that they are in, and their number where they are several,
  // or their side where they lie under a slider; a canvas gets the label.
  const label = (element) => {
    const field = element.closest(".block");
    const text = field && field.querySelector("[data-testid=block-label], .label");
    return text ? text.textContent.trim() : "Picture";
  };
  const sides = (element) => (label(element) === "Before and after" ? ["before", "after"] : ["left picture", "right picture"]);
  const name = (image) => {
    const field = image.closest(".block");
    const all = field ? [...field.querySelectorAll("img")] : [];
    if (image.dataset.testid === "imageslider-image") {
      const left = image === all.find((other) => other.dataset.testid === "imageslider-image");
      return `${label(image)}: ${sides(image)[left ? 0 : 1]}, ${left ? "left" : "right"} of the slider`;
    }
    return all.length > 1 ? `${label(image)}, ${all.indexOf(image) + 1} of ${all.length}` : label(image);
  };
  const describe = () => {
    document.querySelectorAll("img:not([alt]), img[alt='']").forEach((image) => {
      image.alt = name(image);
    });
    document.querySelectorAll("canvas:not([aria-label])").forEach((canvas) => {
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", label(canvas));
    });
  };
  // The slider between two pictures goes by the arrow keys, too: it is dragged for them.
  const drag = (handle, by) => {
    const box = handle.getBoundingClientRect();
    const place = (dx) => ({
      bubbles: true,
      view: window,
      clientX: box.left + box.width / 2 + dx,
      clientY: box.top + box.height / 2,
    });
    handle.dispatchEvent(new MouseEvent("mousedown", place(0)));
    window.dispatchEvent(new MouseEvent("mousemove", place(by)));
    window.dispatchEvent(new MouseEvent("mouseup", place(by)));
  };
  // Where the handle is on the picture, which may be narrower than its frame: 0 at its left edge, 100 at its right.
  const tell = (handle) => {
    const frame = handle.parentElement.getBoundingClientRect();
    const box = handle.getBoundingClientRect();
    const image = handle.parentElement.querySelector("img");
    const shape = image && image.naturalHeight ? image.naturalWidth / image.naturalHeight : Infinity;
    const width = Math.min(frame.width, frame.height * shape);
    if (!width) return; // not shown
    const off = box.left + box.width / 2 - frame.left - frame.width / 2;
    const percent = Math.round(Math.min(Math.max(50 + (100 * off) / width, 0), 100));
    handle.setAttribute("aria-valuenow", percent);
    const [left, right] = sides(handle);
    handle.setAttribute("aria-valuetext", `${percent}% ${left}, ${100 - percent}% ${right}`);
  };
  // Where the handle is on the window, from left to right, and to that place.
  const middle = (handle) => {
    const box = handle.getBoundingClientRect();
    return box.left + box.width / 2;
  };
  const sliders = () => [...document.querySelectorAll("[data-testid=slider]")].filter((one) => one.offsetParent);
  // The left picture alone, as long as a key or a button is held.
  let held = null;
  const hold = (handle) => {
    if (held || !handle) return;
    const frame = handle.parentElement.getBoundingClientRect();
    held = { handle, part: (middle(handle) - frame.left) / frame.width };
    drag(handle, frame.right - middle(handle));
  };
  const release = () => {
    if (!held) return;
    const { handle, part } = held;
    const frame = handle.parentElement.getBoundingClientRect();
    held = null;
    drag(handle, frame.left + part * frame.width - middle(handle));
  };
  document.addEventListener("keydown", (event) => {
    const here = document.activeElement;
    const handle = here && here.matches("[data-testid=slider]") ? here : here === document.body ? sliders()[0] : null;
    if (event.key !== " " || !handle) return;
    event.preventDefault();
    hold(handle);
  });
  document.addEventListener("keyup", (event) => event.key === " " && release());
  ["pointerup", "pointercancel", "blur"].forEach((name) => window.addEventListener(name, release));
  // A round part of the picture under the pointer, larger.
  const ZOOM = 3;
  const glass = document.createElement("div");
  glass.className = "glass";
  glass.hidden = true;
  document.body.append(glass);
  const magnify = (event) => {
    const frame = event.target.closest && event.target.closest(".comparison.loupe .block, .comparison.loupe");
    const images = frame ? [...frame.querySelectorAll("[data-testid=imageslider-image]")] : [];
    const handle = frame && frame.querySelector("[data-testid=slider]");
    glass.hidden = true;
    if (!images.length || !handle || event.target.closest("button")) return;
    const side = sides(handle)[event.clientX < middle(handle) ? 0 : 1];
    const image = images.find((one) => one.alt.includes(`: ${side},`)) || images[0];
    const box = image.getBoundingClientRect();
    const ratio = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
    const size = [image.naturalWidth * ratio, image.naturalHeight * ratio];
    const at = [event.clientX - box.left - (box.width - size[0]) / 2, event.clientY - box.top - (box.height - size[1]) / 2];
    if (at.some((place, k) => place < 0 || place > size[k])) return;
    glass.hidden = false;
    const radius = glass.offsetWidth / 2;
    glass.style.left = `${event.clientX - radius}px`;
    glass.style.top = `${event.clientY - radius}px`;
    glass.style.backgroundImage = `url("${image.src}")`;
    glass.style.backgroundSize = size.map((length) => `${ZOOM * length}px`).join(" ");
    glass.style.backgroundPosition = at.map((place) => `${radius - ZOOM * place}px`).join(" ");
  };
  document.addEventListener("pointermove", magnify);
  // What stands below a slider: hold to see the left picture, and the loupe. A click into the picture moves the slider.
  const equip = () =>
    document.querySelectorAll(".comparison:has([data-testid=slider]):not(:has(.looks))").forEach((field) => {
      const handle = () => field.querySelector("[data-testid=slider]");
      const row = document.createElement("div");
      row.className = "looks";
      const add = (text) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        row.append(button);
        return button;
      };
      const [left] = sides(handle());
      const holder = add(left === "before" ? "Hold to see before (space)" : "Hold to see the left (space)");
      holder.addEventListener("pointerdown", () => hold(handle()));
      holder.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && hold(handle()));
      holder.addEventListener("keyup", release);
      const loupe = add("Loupe");
      loupe.setAttribute("aria-pressed", "false");
      loupe.addEventListener("click", () => loupe.setAttribute("aria-pressed", field.classList.toggle("loupe")));
      field.append(row);
      field.addEventListener("click", (event) => {
        const bar = handle();
        if (!bar || event.target.closest("button, [data-testid=slider]") || !bar.parentElement.contains(event.target)) return;
        drag(bar, event.clientX - middle(bar));
      });
    });
  // Gradio says of who waits "queue: 2/3 | 1.0/6.2s"; here it is said in words (`page.css` shows them in its place).
  const NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
  const inWords = () =>
    document.querySelectorAll(".meta-text, .meta-text-center").forEach((field) => {
      const text = field.textContent;
      const place = /queue: (\d+)\//.exec(text);
      const seconds = /\/([\d.]+)s/.exec(text);
      const before = place ? Number(place[1]) - 1 : 0;
      const people = `${NUMBERS[before] || before} visitor${before === 1 ? "" : "s"} before you`;
      const wait = seconds ? `, about ${Math.ceil(Number(seconds[1]))} seconds` : "";
      const said = place ? (before ? people + wait : "you are next") : "";
      if ((field.dataset.said || "") !== said) field.dataset.said = said;
    });
  new MutationObserver(inWords).observe(document.body, { childList: true, subtree: true, characterData: true });
  const reachable = () =>
    document.querySelectorAll("[data-testid=slider]:not([tabindex])").forEach((handle) => {
      handle.tabIndex = 0;
      handle.setAttribute("role", "slider");
      handle.setAttribute("aria-label", `${label(handle)}: move between ${sides(handle).join(" and ")} by the arrow keys`);
      handle.setAttribute("aria-valuemin", 0);
      handle.setAttribute("aria-valuemax", 100);
      handle.setAttribute("aria-valuenow", 50);
      tell(handle);
      new MutationObserver(() => tell(handle)).observe(handle, { attributes: true, attributeFilter: ["style"] });
      handle.addEventListener("focus", () => tell(handle));
      handle.addEventListener("keydown", (event) => {
        const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -20, End: 20 }[event.key];
        if (!steps) return;
        event.preventDefault();
        drag(handle, (steps * handle.parentElement.getBoundingClientRect().width) / 20);
      });
    });
  // Screen readers read out what a status says: it is a live region before it says anything.
  const announce = () =>
    document.querySelectorAll(".status:not([aria-live])").forEach((status) => {
      status.setAttribute("role", "status");
      status.setAttribute("aria-live", "polite");
    });
  // Names as screen readers and voice control need them: of an empty field's drawing, and of a button what stands on it.
  const rename = () => {
    document.querySelectorAll(".empty[aria-label]:not([role])").forEach((empty) => empty.setAttribute("role", "img"));
    document.querySelectorAll(".upload-container[aria-label], .thumbnail-item[aria-label]").forEach((button) => {
      const text = button.textContent.trim().replace(/\s+/g, " ");
      if (text && button.getAttribute("aria-label") !== text) button.setAttribute("aria-label", text);
    });
  };
  // From tab to tab by the arrow keys, Home and End.
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (!tab) return;
    const all = [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]")];
    const at = all.indexOf(tab);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = all.at(to % all.length);
    next.click();
    next.focus();
  });
  // On the canvas: [ and ] change the brush, O shows the face without paint while it is held, Ctrl+Z undoes, and no undo
  // goes further back than to the face itself.
  const canvas = () => document.querySelector("#inpaint-canvas .pixi-target canvas");
  const painting = (event) => {
    const field = event.target.closest("input:not([type=range], [type=radio], [type=checkbox]), textarea, [contenteditable=true]");
    return canvas() && canvas().offsetParent && !field && !event.altKey;
  };
  let [strokes, undone] = [0, 0];
  window.difface.filled = () => ([strokes, undone] = [0, 0]);
  const back = (event) => {
    if (strokes) [strokes, undone] = [strokes - 1, undone + 1];
    else event.stopImmediatePropagation();
  };
  const again = (event) => {
    if (undone) [strokes, undone] = [strokes + 1, undone - 1];
    else event.stopImmediatePropagation();
  };
  document.addEventListener("pointerdown", (event) => {
    const tool = "#inpaint-canvas :is(button[aria-label=Brush], button[aria-label=Erase]).highlight";
    if (canvas() && event.target === canvas() && document.querySelector(tool)) [strokes, undone] = [strokes + 1, 0];
  });
  document.addEventListener(
    "click",
    (event) => {
      const button = event.target.closest("#inpaint-canvas button");
      if (button && button.ariaLabel === "Undo") back(event);
      if (button && button.ariaLabel === "Redo") again(event);
    },
    true,
  );
  const size = (by) => {
    const button = () => document.querySelector("#inpaint-canvas button[aria-label$='Size']");
    const slider = () => document.querySelector("#inpaint-canvas .size_picker input");
    if (!button()) return;
    if (!slider()) {
      button().click();
      size.opened = true;
    }
    clearTimeout(size.closing);
    const close = () => {
      size.opened = false;
      document.body.dispatchEvent(new MouseEvent("mousedown", { bubbles: true })); // its button opens it only
    };
    if (size.opened) size.closing = setTimeout(close, 1500); // what the visitor opened stays
    const set = (tries) => {
      const range = slider();
      if (!range) return tries && setTimeout(() => set(tries - 1), 50);
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(range, Number(range.value) + by);
      range.dispatchEvent(new Event("input", { bubbles: true }));
    };
    requestAnimationFrame(() => set(20));
  };
  const original = (held) => {
    const shown = document.getElementById("inpaint-original");
    const image = shown && shown.querySelector("img");
    if (!image || !canvas()) return;
    const box = canvas().getBoundingClientRect();
    const zoom = document.querySelector("#inpaint-canvas .zoom-number");
    const scale = (parseFloat(zoom && zoom.textContent) || 100) / 100;
    const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    const place = { width, height, left: box.left + (box.width - width) / 2, top: box.top + (box.height - height) / 2 };
    Object.entries(place).forEach(([key, value]) => (shown.style[key] = `${value}px`));
    shown.classList.toggle("held", held);
  };
  document.addEventListener("keydown", (event) => {
    if (!painting(event)) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key.toLowerCase() !== "z") return;
      const button = document.querySelector(`#inpaint-canvas button[aria-label=${event.shiftKey ? "Redo" : "Undo"}]`);
      if (button) button.click();
      return;
    }
    if (event.key === "[" || event.key === "]") size(event.key === "]" ? 5 : -5);
    if (event.key.toLowerCase() === "o") original(true);
  });
  document.addEventListener("keyup", (event) => event.key.toLowerCase() === "o" && original(false));
  window.addEventListener("blur", () => original(false));
  const improve = () => {
    rename();
    announce();
    describe();
    reachable();
    equip();
  };
  new MutationObserver(improve).observe(document.body, { childList: true, subtree: true });
  improve();
}
