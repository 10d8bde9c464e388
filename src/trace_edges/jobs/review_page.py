"""The page of `review`: its text is put in as text, so that no name is read as HTML."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline';
  script-src 'unsafe-inline'">
<title>Review of masks</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 0 auto; max-width: 1500px; padding: 1rem;
  color: #1a1a1a; background: #fff }
h1 { font-size: 1.4rem; margin: 0 0 .3rem }
nav { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; margin: .8rem 0;
  position: sticky; top: 0; background: #fff; padding: .4rem 0; z-index: 1 }
button, select, input { font: inherit; padding: .25rem .6rem }
#images { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: .8rem }
figure { margin: 0; border: 1px solid #ddd; border-radius: 6px; overflow: hidden }
figure img { display: block; width: 100%; height: 200px; object-fit: contain; background: #f2f2f2 }
figcaption { padding: .4rem .6rem; overflow-wrap: anywhere }
figcaption small { color: #555; display: block }
table { border-collapse: collapse; width: 100%; margin-top: .5rem }
td, th { border-bottom: 1px solid #ddd; padding: .3rem .5rem; text-align: left;
  overflow-wrap: anywhere; vertical-align: top }
@media (max-width: 600px) {
  #images { grid-template-columns: 1fr 1fr } figure img { height: 130px }
}
</style>
</head>
<body>
<h1>Review of masks</h1>
<p id="summary"></p>
<nav aria-label="Order and page">
<label>Sort by <select id="key">
<option value="name">name</option><option value="doubt">doubt</option>
<option value="lowest">lowest score</option><option value="mean">mean score</option>
<option value="masks">number of masks</option><option value="covered">share covered</option>
<option value="size">size of masks</option><option value="disagreement">disagreement</option>
</select></label>
<label><input type="checkbox" id="down"> largest first</label>
<label>Find <input id="find" size="12"></label>
<button id="back">Previous</button><span id="page"></span><button id="on">Next</button>
</nav>
<main id="images"></main>
<section id="failed" hidden><h2>Failed</h2><table>
<thead><tr><th>Image</th><th>Reason</th></tr></thead><tbody></tbody></table></section>
<script type="application/json" id="data">@DATA@</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent), SIZE = 200;
const by = id => document.getElementById(id);
let first = 0;
function element(kind, text) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text;
  return made;
}
const share = value => value === null ? "none" : (100 * value).toFixed(0) + " %";
const percent = value => value === null ? "none" : (100 * value).toFixed(1) + " %";
const score = value => value === null ? "none" : value.toFixed(2);
function show() {
  const key = by("key").value, sign = by("down").checked ? -1 : 1;
  const find = by("find").value.toLowerCase();
  const found = data.images.filter(one => one.name.toLowerCase().includes(find));
  found.sort((a, b) => {
    if (a[key] === null || b[key] === null) return (a[key] === null) - (b[key] === null);
    return sign * (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0);
  });
  first = Math.max(0, Math.min(first, Math.floor((found.length - 1) / SIZE) * SIZE));
  const figures = found.slice(first, first + SIZE).map(one => {
    const figure = element("figure"), image = element("img"), text = element("figcaption");
    image.loading = "lazy"; image.alt = one.name; image.src = one.file;
    image.width = one.width; image.height = one.height;
    text.append(element("b", one.name), element("small",
      one.masks + " masks of " + percent(one.size) + ", " + share(one.covered) +
      " covered, doubt " + share(one.doubt) + ", disagreement " + score(one.disagreement)),
      element("small", "scores from " + score(one.lowest) + ", mean " + score(one.mean) +
      (one.classes.length ? "; " + one.classes.join(", ") : "")));
    figure.append(image, text);
    return figure;
  });
  by("images").replaceChildren(...figures);
  by("page").textContent = found.length === 0 ? "no image" :
    (first + 1) + " to " + Math.min(first + SIZE, found.length) + " of " + found.length;
  by("back").disabled = first === 0;
  by("on").disabled = first + SIZE >= found.length;
}
function again() { first = 0; show(); }
by("key").onchange = by("down").onchange = by("find").oninput = again;
by("back").onclick = () => { first -= SIZE; show(); scrollTo(0, 0); };
by("on").onclick = () => { first += SIZE; show(); scrollTo(0, 0); };
const masks = data.images.reduce((sum, one) => sum + one.masks, 0);
const cost = seconds => data.price === null || seconds === null ? "" :
  " (cost " + (seconds / 3600 * data.price).toFixed(2) + ")";
by("summary").textContent = data.images.length + " images, " + masks + " masks, " +
  data.failures.length + " failed" + (data.seconds === null ? "" :
  "; " + data.seconds + " s so far" + cost(data.seconds) + ", " +
  (data.seconds / Math.max(1, data.images.length)).toFixed(2) + " s an image") +
  (data.open === 0 ? "" : "; " + data.open + " still to come" + (data.left === null ? "" :
  ", in about " + (data.left / 3600).toFixed(1) + " hours at the pace so far" + cost(data.left))) +
  ". Size: the median mask, as a share of the image. Doubt: share of the contours where the " +
  "photograph hardly changes. Disagreement: how many further masks lie on a covered pixel; 0 " +
  "where all levels of the hierarchy have the same regions.";
by("failed").hidden = data.failures.length === 0;
for (const one of data.failures) {
  const row = element("tr");
  row.append(element("td", one[0]), element("td", one[1]));
  by("failed").querySelector("tbody").append(row);
}
show();
</script>
</body>
</html>
"""
