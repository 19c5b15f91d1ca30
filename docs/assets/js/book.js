// Names that the theme leaves out, for those who listen to the page.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
document.querySelectorAll("nav.md-nav:not([aria-label]):not([aria-labelledby])").forEach(
  (nav, i) => nav.setAttribute("aria-label", `Pages ${i + 1}`));
