// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The page of vhu-trace --html. Names and data in it are others' choice: text
// becomes text nodes and attributes only, never markup.
'use strict';

/** Making elements, and numbers as people read them. */
const Dom = (() => {
	const SVG = 'http://www.w3.org/2000/svg';

	function fill(node, attributes, children) {
		for (const [name, value] of Object.entries(attributes || {})) {
			if (name === 'on') {
				for (const [event, listener] of Object.entries(value))
					node.addEventListener(event, listener);
			} else if (value !== undefined && value !== false) {
				node.setAttribute(name, value === true ? '' : value);
			}
		}
		node.append(
			...children.flat().filter((child) => child !== null && child !== undefined),
		);
		return node;
	}

	/** attributes: {name: value, on: {event: listener}}; children: nodes and strings. */
	function el(tag, attributes, ...children) {
		return fill(document.createElement(tag), attributes, children);
	}

	function svg(tag, attributes, ...children) {
		return fill(document.createElementNS(SVG, tag), attributes, children);
	}

	/** A duration, "84 µs". */
	function duration(ns) {
		if (ns < 1000) return `${ns} ns`;
		const units = ['ns', 'µs', 'ms', 's'];
		let unit = 0;
		while (ns >= 1000 && unit < units.length - 1) {
			ns /= 1000;
			unit++;
		}
		return `${ns < 10 ? ns.toFixed(1) : Math.round(ns)} ${units[unit]}`;
	}

	/** Seconds since the first record, "0.000084". */
	function seconds(ns) {
		return ns === undefined ? '' : (ns / 1e9).toFixed(6);
	}

	/** A size in bytes, "256 MiB" where it is whole. */
	function size(bytes) {
		const n = Number(bytes);
		for (const [unit, shift] of [
			['GiB', 30],
			['MiB', 20],
			['KiB', 10],
		]) {
			const one = 2 ** shift;
			if (n >= one && n % one === 0) return `${n / one} ${unit}`;
		}
		return `${bytes} ${n === 1 ? 'byte' : 'bytes'}`;
	}

	function plural(n, what) {
		return `${n} ${what}${n === 1 ? '' : 's'}`;
	}

	/** The sum of two numbers of 64 bits, in hex: a number of JavaScript may be too small. */
	function hexSum(a, b) {
		return `0x${(BigInt(a) + BigInt(b)).toString(16)}`;
	}

	function headings(heads) {
		const row = heads.map((head) => el('th', { scope: 'col' }, head));
		return el('thead', {}, el('tr', {}, row));
	}

	/** A table, or null if there are no rows. */
	function table(caption, heads, rows) {
		if (!rows.length) return null;
		const body = el('tbody', {}, rows);
		return el(
			'table',
			{ class: 'facts' },
			el('caption', {}, caption),
			headings(heads),
			body,
		);
	}

	/** Shows the children alone in parent. */
	function show(parent, ...children) {
		parent.replaceChildren(...children.flat().filter((child) => child));
	}

	return { el, svg, duration, seconds, size, plural, hexSum, headings, table, show };
})();
