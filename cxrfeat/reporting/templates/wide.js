"use strict";
// Tables that are wider than the page say so, whenever they come to be.
const look = new ResizeObserver((seen) => seen.forEach(({ target }) => {
  target.previousElementSibling.hidden = target.scrollWidth <= target.clientWidth + 1;
}));
document.querySelectorAll(".scroll").forEach((box) => look.observe(box));
