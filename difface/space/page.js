() => {
  // Pictures without an alternative text get the label of the field that they are in, and their number where they are several;
  // a canvas gets the label.
  const label = (element) => {
    const field = element.closest(".block");
    const text = field && field.querySelector("[data-testid=block-label], .label");
    return text ? text.textContent.trim() : "Picture";
  };
  const name = (image) => {
    const field = image.closest(".block");
    const all = field ? [...field.querySelectorAll("img")] : [];
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
  const reachable = () =>
    document.querySelectorAll("[data-testid=slider]:not([tabindex])").forEach((handle) => {
      handle.tabIndex = 0;
      handle.setAttribute("role", "separator");
      handle.setAttribute("aria-label", "Move between before and after by the arrow keys");
      handle.addEventListener("keydown", (event) => {
        const sign = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!sign) return;
        event.preventDefault();
        drag(handle, (sign * handle.parentElement.getBoundingClientRect().width) / 20);
      });
    });
  const improve = () => {
    describe();
    reachable();
  };
  new MutationObserver(improve).observe(document.body, { childList: true, subtree: true });
  improve();
}
