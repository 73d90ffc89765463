"""The report as one page, drawn from ``report.json`` alone."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ r.run }} after {{ r.stage }}</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2rem}
.sub{color:#555;margin-top:0}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.talk{display:flex;gap:1rem;border-bottom:1px solid #ddd;padding:.8rem 0}
.talk img{width:120px;height:120px;border-radius:6px;flex:none}
.talk p{margin:.15rem 0}.role{color:#555;font-size:.85rem;margin-right:.4rem}
.tag{font-size:.8rem;background:#eef2f6;border-radius:4px;padding:.1rem .4rem}
.answer{font-weight:600}
</style></head><body>
<h1>{{ r.run }} after {{ r.stage }}</h1>
<p class="sub">Interface: {{ r.interface.kind }}{% if r.interface.kind == "private" %},
{{ r.interface.bits }} bits a picture{% endif %}. Policy: {{ r.policy }}.
Intervals: {{ level }} %, bootstrap over people.</p>
{% for suite, rows in suites %}
<h2>{{ {"behaviour": "What it says", "interface": "What its tokens tell a fresh attacker"}.get(suite, suite) }}</h2>
<div class="wide"><table><tr><th>measure</th><th>group</th><th class="n">value</th>
<th class="n">interval</th><th class="n">n</th><th>attacker or note</th></tr>
{% for m in rows %}<tr><td>{{ m.name.replace("_", " ") }}</td>
<td>{{ m.group.replace("_", " ").replace("/", ", ") }}</td>
<td class="n">{{ "%.3f"|format(m.value) }}</td>
<td class="n">{{ "%.3f"|format(m.low) }} to {{ "%.3f"|format(m.high) }}</td>
<td class="n">{{ m.n }} {{ 'people' if m.unit == 'person' else m.unit }}</td><td>{{ m.attacker or m.note }}</td></tr>
{% endfor %}</table></div>{% endfor %}
{% if r.examples %}<h2>Ten of its answers</h2>{% endif %}
{% for e in r.examples %}<div class="talk"><img alt="picture of the person" src="{{ e.data }}"><div>
<span class="tag">{{ e.condition.replace("_", " ") }}</span>
{% for t in e.turns %}<p{% if loop.last %} class="answer"{% endif %}>
<span class="role">{{ t.role }}</span>{{ t.content }}</p>{% endfor %}
</div></div>{% endfor %}
<h2>What this does not show</h2>
<p>Leaks are counted by words of a published lexicon; paraphrases are not. The attacker is one
multi-layer perceptron; others may read more, and more pictures of one person tell more than one.
Nothing here is a guarantee but the number of bits that a picture leaves in.</p>
</body></html>
"""


def html(content: dict[str, Any], folder: Path) -> str:
    """The page; pictures are put into it, so that it opens from disk without network."""
    suites: dict[str, list[dict[str, Any]]] = {}
    for measure in content["measures"]:
        suites.setdefault(measure["suite"], []).append(measure)
    examples = [{**e, "data": _inline(folder / e["picture"])} for e in content["examples"]]
    template = Environment(autoescape=True).from_string(TEMPLATE)
    shown = {**content, "examples": examples}
    return template.render(r=shown, suites=list(suites.items()), level=95)


def _inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
