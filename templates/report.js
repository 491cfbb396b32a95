// What is wider than the page can be reached by the keyboard, and says that it scrolls.
function mark() {
  for (const part of document.querySelectorAll(".equation, .display, .table, pre")) {
    const wide = part.scrollWidth > part.clientWidth + 1;
    part.classList.toggle("wide", wide);
    if (!wide) { part.removeAttribute("tabindex"); part.removeAttribute("role"); continue; }
    part.setAttribute("tabindex", "0");
    part.setAttribute("role", "group");
    part.setAttribute("aria-label", part.matches(".table") ? "Table, scrolls sideways" : "Scrolls sideways");
  }
}
addEventListener("load", mark);
addEventListener("resize", mark);
