// The index of the search is larger than any page: it can wait until somebody searches.
const { open, send } = XMLHttpRequest.prototype;
XMLHttpRequest.prototype.open = function (method, url, ...rest) {
  this.waits = String(url).endsWith("search/search_index.json");
  return open.call(this, method, url, ...rest);
};
XMLHttpRequest.prototype.send = function (...body) {
  if (!this.waits) return send.apply(this, body);
  const begin = ({ target }) => {
    if (!target.matches?.(".md-search__input")) return;
    removeEventListener("focusin", begin);
    send.apply(this, body);
  };
  addEventListener("focusin", begin);
};
