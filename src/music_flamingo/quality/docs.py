"""Data docs: one HTML page that says what was kept, what was rejected and why, and which expectations held.

The page stands alone (no script, no network) and holds no clock, so that equal data give equal bytes.
"""

from collections.abc import Mapping, Sequence

from jinja2 import Environment, StrictUndefined

from music_flamingo.core.record import Part
from music_flamingo.quality.expectations import Finding

SHOWN_REJECTS = 3
"""Rejects of each reason that are quoted; all of them are in the `rejects` port."""

PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data docs: MF-Skills</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 68rem; margin: 0 auto; padding: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.9rem 0.3rem 0; border-bottom: 1px solid #8885; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.wide { min-width: 60rem; }
li { overflow-wrap: anywhere; }
.passed { color: #17803d; } .critical { color: #c01818; font-weight: 600; } .warning { color: #a05a00; }
</style>
</head>
<body>
<h1>Data docs: MF-Skills</h1>
<p>{{ kept }} examples kept, {{ rejected }} rejected. Checked by rules, example by example, and by
Great Expectations {{ version }} over the whole.</p>
<h2>Expectations</h2>
<div class="scroll"><table class="wide">
<tr><th>held?</th><th>expectation</th><th>of</th><th>found</th><th>why</th></tr>
{% for f in findings %}
<tr><td class="{{ 'passed' if f.success else f.severity }}">{{ 'held' if f.success else f.severity }}</td>
<td>{{ f.name }}</td><td>{{ f.table }}{{ '.' ~ f.column if f.column else '' }}</td><td>{{ f.observed }}</td>
<td>{{ f.why }}</td></tr>
{% endfor %}
</table></div>
<h2>Kept and rejected by family</h2>
<div class="scroll"><table>
<tr><th>family</th><th class="number">kept</th><th class="number">rejected</th></tr>
{% for name, counts in families.items() %}
<tr><td>{{ name }}</td><td class="number">{{ counts[0] }}</td><td class="number">{{ counts[1] }}</td></tr>
{% endfor %}
</table></div>
<h2>Rejected by reason</h2>
{% for reason, count in reasons.items() %}
<h3>{{ reason }}: {{ count }}</h3>
<ul>
{% for reject in rejects if reject.reason == reason %}
<li>{{ reject.id }}: {{ reject.question }} <b>{{ reject.answer }}</b></li>
{% endfor %}
</ul>
{% else %}
<p>Nothing was rejected.</p>
{% endfor %}
</body>
</html>
"""
)


class Rejected(Part):
    """A reject as the page quotes it."""

    id: str
    reason: str
    question: str
    answer: str


def page(
    findings: Sequence[Finding],
    families: Mapping[str, tuple[int, int]],
    reasons: Mapping[str, int],
    rejects: Sequence[Rejected],
) -> str:
    """The HTML. `families` gives (kept, rejected) by family; `rejects` are the ones to quote."""
    from great_expectations import __version__

    return PAGE.render(
        findings=findings,
        families=dict(sorted(families.items())),
        reasons=dict(sorted(reasons.items())),
        rejects=rejects,
        kept=sum(kept for kept, _ in families.values()),
        rejected=sum(reasons.values()),
        version=__version__,
    )
