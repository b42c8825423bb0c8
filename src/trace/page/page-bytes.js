// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

/** One message: its bytes coloured field by field, and what each field means. */
const Bytes = (() => {
	const { el } = Dom;
	const PER_ROW = 16;
	const MAX_SHOWN = 8192;
	const N_COLOURS = 8;

	/** Bits of the header's flags that have a meaning. */
	const FLAG_BITS = [
		{ bit: 2, name: 'reply' },
		{ bit: 3, name: 'need_reply' },
	];

	function colour(field, i) {
		if (field.part === 'padding' || field.part === 'extra') return field.part;
		return `${field.part === 'header' ? 'h' : 'c'}${i % N_COLOURS}`;
	}

	/** For each byte its field's number. */
	function owners(fields, n) {
		const owner = new Array(n).fill(-1);
		fields.forEach((field, i) => owner.fill(i, field.at, field.at + field.len));
		return owner;
	}

	function offset(at) {
		return el('span', { class: 'offset' }, at.toString(16).padStart(4, '0'));
	}

	function hexdump(bytes, fields) {
		const n = Math.min(bytes.length / 2, MAX_SHOWN);
		const owner = owners(fields, n);
		const rows = [];
		for (let row = 0; row < n; row += PER_ROW) {
			const cells = [];
			for (let at = row; at < Math.min(row + PER_ROW, n); at++) {
				const i = owner[at];
				cells.push(
					el(
						'span',
						{
							class: `byte ${i < 0 ? 'extra' : colour(fields[i], i)}`,
							'data-field': i,
							'data-at': at,
							title: i < 0 ? undefined : fields[i].name,
						},
						bytes.slice(2 * at, 2 * at + 2),
					),
				);
			}
			rows.push(el('div', { class: 'hexrow' }, offset(row), cells));
		}
		if (bytes.length / 2 > n)
			rows.push(el('p', {}, `and ${bytes.length / 2 - n} bytes more`));
		return el(
			'div',
			{ class: 'hex', role: 'img', 'aria-label': 'bytes of the message' },
			rows,
		);
	}

	/** Of a mask in SET_*FEATURES: offered and accepted, one of them, or neither. */
	function bitState(bit) {
		if (bit.offered === undefined) return bit.set ? ['on', 'set'] : ['off', 'not set'];
		if (bit.set)
			return bit.offered
				? ['on', 'offered and accepted']
				: ['wrong', 'accepted but not offered'];
		return ['off', 'offered, not accepted'];
	}

	function bitChip(bit) {
		const [state, words] = bitState(bit);
		return el(
			'li',
			{ class: `bit ${state}`, title: bit.text },
			el('span', { class: 'bitno' }, `${bit.bit}`),
			bit.name || 'no name',
			el('small', {}, ` ${words}`),
		);
	}

	/** The bits of the header's flags: two of version, reply, need_reply, and the rest. */
	function flagBits(value) {
		const flags = Number(value.split('[')[0]);
		const bits = FLAG_BITS.map((b) =>
			Object.assign({ set: Boolean((flags >>> b.bit) & 1) }, b),
		);
		for (let bit = 4; bit < 32; bit++) {
			if ((flags >>> bit) & 1)
				bits.push({ bit, name: 'reserved', set: true, offered: false });
		}
		return [
			el(
				'li',
				{ class: `bit ${(flags & 3) === 1 ? 'on' : 'wrong'}` },
				el('span', { class: 'bitno' }, '0-1'),
				`version ${flags & 3}`,
			),
			...bits.map(bitChip),
		];
	}

	function bitsOf(field) {
		if (field.part === 'header' && field.name === 'flags') return flagBits(field.value);
		return (field.bits || []).map(bitChip);
	}

	function legendRow(field, i) {
		const bits = bitsOf(field);
		const range =
			field.len === 1 ? `${field.at}` : `${field.at}–${field.at + field.len - 1}`;
		const value = bits.length ? field.value.replace(/\[.*/, '') : field.value;
		return el(
			'tr',
			{ 'data-field': i, tabindex: '0' },
			el('td', {}, el('span', { class: `swatch ${colour(field, i)}` }), range),
			el('td', { class: 'name' }, field.name),
			el('td', { class: 'value' }, value),
			el(
				'td',
				{},
				field.text,
				bits.length ? el('ul', { class: 'bits' }, bits) : null,
			),
		);
	}

	function legend(fields) {
		return el(
			'table',
			{ class: 'legend' },
			Dom.headings(['bytes', 'field', 'value', 'what it means']),
			el('tbody', {}, fields.map(legendRow)),
		);
	}

	/** Pointing at a byte or at its field lights both. */
	function link(node) {
		function light(event) {
			const target = event.target.closest('[data-field]');
			for (const lit of node.querySelectorAll('.hot'))
				lit.classList.remove('hot');
			if (!target) return;
			for (const same of node.querySelectorAll(
				`[data-field="${target.dataset.field}"]`,
			))
				same.classList.add('hot');
		}
		for (const event of ['mouseover', 'mouseleave', 'focusin'])
			node.addEventListener(event, light);
		return node;
	}

	function descriptors(fds) {
		if (!fds || !fds.length) return null;
		return el(
			'div',
			{ class: 'fds' },
			el('h3', {}, Dom.plural(fds.length, 'descriptor')),
			el(
				'ol',
				{ start: '0' },
				fds.map((fd) =>
					el(
						'li',
						{},
						el('span', { class: 'badge' }, fd.text),
						' ',
						el('code', {}, fd.path || ''),
						fd.readonly ? ' read-only' : '',
						fd.nonblock ? ' non-blocking' : '',
					),
				),
			),
		);
	}

	function ringStands(ring) {
		if (!ring || ring.index === undefined) return null;
		const facts = [];
		if (ring.num !== undefined) facts.push(`${ring.num} entries`);
		if (ring.base !== undefined) facts.push(`base ${ring.base}`);
		for (const fd of ['kick', 'call', 'err']) {
			if (ring[fd]) facts.push(`${fd} descriptor`);
		}
		return el(
			'p',
			{ class: 'stands' },
			`Ring ${ring.index}: `,
			el('span', { class: `state ${ring.before}` }, ring.before),
			ring.before === ring.after ? '' : ' → ',
			ring.before === ring.after
				? ''
				: el('span', { class: `state ${ring.after}` }, ring.after),
			facts.length ? ` (${facts.join(', ')})` : '',
		);
	}

	/** The other half of a request and its reply, as a button that goes there. */
	function partner(model, place, goTo) {
		const other = model.partner.get(place);
		if (other === undefined) return null;
		const reply = model.records[Math.max(place, other)];
		const took =
			reply.answers.ns === undefined
				? ''
				: ` after ${Dom.duration(reply.answers.ns)}`;
		const words = other > place ? 'answered by' : 'answers';
		return el(
			'button',
			{ class: 'link', on: { click: () => goTo(other) } },
			`${words} #${model.records[other].n}${took}${reply.failed ? ': failed' : ''}`,
		);
	}

	function rule(record) {
		if (!record.rule) return null;
		const { severity, clauses, text, name } = record.rule;
		return el(
			'p',
			{ class: `rule ${severity}`, role: 'alert' },
			el('b', {}, severity === 'note' ? 'Worth a note: ' : 'Broken rule: '),
			`${text} `,
			el('code', {}, `${clauses} (${name})`),
		);
	}

	function heading(record) {
		const from =
			record.dir === 'to-back-end'
				? ['front-end', 'back-end']
				: ['back-end', 'front-end'];
		return [
			el(
				'h2',
				{},
				record.name || 'Bytes that are no message',
				record.reply ? ' reply' : '',
				el('small', {}, ` #${record.n}`),
			),
			el(
				'p',
				{ class: 'route' },
				el('b', {}, from[0]),
				' → ',
				el('b', {}, from[1]),
				record.channel ? ' on the back-end’s channel' : '',
				`, ${record.bytes.length / 2} bytes`,
				record.fields
					? `: a header of 12, then ${record.size} of payload`
					: '',
			),
		];
	}

	function message(model, place, goTo) {
		const record = model.records[place];
		const fields = record.fields || [];
		return [
			...heading(record),
			record.explain ? el('p', { class: 'explain' }, record.explain) : null,
			record.failed
				? el('p', { class: 'rule refuse' }, 'The answer says: failed.')
				: null,
			rule(record),
			partner(model, place, goTo),
			ringStands(record.ring),
			link(
				el(
					'div',
					{ class: 'dissection' },
					hexdump(record.bytes, fields),
					legend(fields),
				),
			),
			descriptors(record.fds),
		];
	}

	function remark(record) {
		return [
			el('h2', {}, record.kind, el('small', {}, ` #${record.n}`)),
			el('p', {}, record.text || record.line),
			record.unanswered && record.unanswered.length
				? el(
						'div',
						{},
						el('h3', {}, 'Never answered'),
						el(
							'ul',
							{},
							record.unanswered.map((u) =>
								el('li', {}, u.name),
							),
						),
					)
				: null,
		];
	}

	function show(node, model, place, goTo) {
		const record = model.records[place];
		const isMessage = record.kind === 'message' || record.kind === 'raw';
		Dom.show(node, isMessage ? message(model, place, goTo) : remark(record));
		node.scrollTop = 0;
	}

	return { show };
})();
