// Names that the theme leaves out, for those who listen to the page.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
document.querySelectorAll("nav.md-nav:not([aria-label]):not([aria-labelledby])").forEach(
  (nav, i) => nav.setAttribute("aria-label", `Pages ${i + 1}`));

// Viewers in frames follow the switch between light and dark.
const tell_scheme = () => document.querySelectorAll("iframe").forEach((frame) =>
  frame.contentWindow.postMessage(document.body.dataset.mdColorScheme === "slate" ? "dark" : "light", "*"));
document.querySelectorAll("iframe").forEach((frame) => frame.addEventListener("load", tell_scheme));
new MutationObserver(tell_scheme).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
