#!/usr/bin/env python3
"""Cuts one figure out of a page that `gogpt report` or `gogpt ablate` has written, as an SVG file that stands alone.

    curves.py PAGE.html "TITLE OF THE FIGURE" [NUMBER] >curves.svg

NUMBER chooses among figures of the same title, from 1.
"""
import html
import re
import sys

ROW = 18  # height of a line of the legend


def main():
    page = open(sys.argv[1], encoding="utf-8").read()
    heading = f"<h3>{html.escape(sys.argv[2])}</h3>"
    figures = [f for f in re.findall(r"<figure>(.*?)</figure>", page, re.S) if heading in f]
    if not figures:
        sys.exit(f"{sys.argv[1]}: no figure {sys.argv[2]}")
    figure = figures[int(sys.argv[3]) - 1 if len(sys.argv) > 3 else 0]
    legend = re.findall(r'<span class="key ([^"]*)"></span>([^<]*)</li>', figure)
    width, height, body = re.search(r'<svg viewBox="0 0 (\S+) (\S+)"[^>]*>(.*)</svg>', figure, re.S).groups()
    body = re.sub(r'<rect class="hover".*?</rect>', "", body, flags=re.S)
    style = page[page.index("<style>") + 7:page.index("</style>")]
    colors = style[style.index(":root"):style.index("* {")]
    drawn = re.compile(r"(svg|\.grid-line|\.axis|\.ref|\.line|\.dot|\.band|\.track|\.s\d)")
    rules = "\n".join(line for line in style.split("\n") if drawn.match(line))
    top = ROW * len(legend) + 24
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {float(height) + top:g}">')
    print(f"<style>\n{colors}{rules}\n</style>")
    print(f'<rect width="{width}" height="{float(height) + top:g}" fill="var(--card)"/>')
    print(f'<text class="row" x="12" y="16">{html.escape(sys.argv[2])}</text>')
    for i, (key, name) in enumerate(legend):
        y = ROW * i + 34
        dashed = " dashed" if "dashes" in key else ""
        series = key.replace("dashes", "").strip()
        print(f'<path class="line {series}{dashed}" d="M12 {y - 4}h22"/><text x="42" y="{y}">{name}</text>')
    print(f'<g transform="translate(0 {top})">{body}</g>\n</svg>')


main()
