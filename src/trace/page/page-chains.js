// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

/** The chains of a picture: whose they are, their descriptors, their data. */
const Chains = (() => {
	const { el } = Dom;
	const MAX_OPEN = 12; // chains that are shown unasked

	function flags(desc) {
		return (desc.names || []).map((name) =>
			el('span', { class: `flag ${name}` }, name),
		);
	}

	function box(desc) {
		const names = desc.names || [];
		let [use, words] = ['read', 'device reads'];
		if (names.includes('INDIRECT')) [use, words] = ['is-table', 'is a table'];
		else if (names.includes('WRITE')) [use, words] = ['written', 'device writes'];
		return el(
			'div',
			{ class: `desc ${use}` },
			el('b', {}, `${desc.in_table ? 'entry' : 'desc'} ${desc.number}`),
			el('span', {}, words),
			el('code', {}, desc.addr),
			el('span', {}, Dom.plural(desc.len, 'byte')),
			el('div', {}, flags(desc)),
		);
	}

	function arrow(desc) {
		return desc.next === undefined
			? null
			: el('span', { class: 'next', title: `next ${desc.next}` }, '→');
	}

	/** Descriptors in a row; those of an indirect table within a frame. */
	function boxes(descs) {
		const outer = descs.filter((d) => !d.in_table).flatMap((d) => [box(d), arrow(d)]);
		const inner = descs.filter((d) => d.in_table).flatMap((d) => [box(d), arrow(d)]);
		return el(
			'div',
			{ class: 'descs' },
			outer,
			inner.length ? el('div', { class: 'table' }, inner) : null,
		);
	}

	function bytes(hex) {
		const pairs = hex.slice(0, 96).match(/../g) || [];
		return pairs.join(' ') + (hex.length > 96 ? ' …' : '');
	}

	function data(words, text, hex) {
		if (!hex) return null;
		return el(
			'p',
			{ class: 'data' },
			el('span', {}, `${words} `),
			text ? el('code', {}, text) : null,
			el('code', { class: 'hexbytes' }, bytes(hex)),
		);
	}

	function lengths(chain) {
		const parts = [];
		if (chain.out_len)
			parts.push(`${Dom.plural(Number(chain.out_len), 'byte')} to read`);
		if (chain.in_len)
			parts.push(`room for ${Dom.plural(Number(chain.in_len), 'byte')}`);
		if (chain.used_len !== undefined)
			parts.push(`returned with ${chain.used_len} written`);
		return parts.join(', ');
	}

	function row(chain) {
		const device = chain.owner === 'device';
		return el(
			'article',
			{ class: `chain ${device ? 'of-device' : 'of-driver'}` },
			el(
				'header',
				{},
				el('b', {}, `[${chain.at}]`),
				` head ${chain.head} `,
				el(
					'span',
					{ class: `chip ${device ? 'of-device' : 'of-driver'}` },
					device ? 'the device’s' : 'the driver’s again',
				),
				el('span', { class: 'lengths' }, lengths(chain)),
				chain.control
					? el('span', { class: 'control' }, chain.control)
					: null,
			),
			chain.fault ? el('p', { class: 'rule refuse' }, chain.fault) : null,
			chain.reused
				? el('p', { class: 'lengths' }, 'its descriptors are another chain’s by now')
				: null,
			boxes(chain.descs || []),
			chain.more_descs
				? el('p', { class: 'lengths' }, `and ${Dom.plural(chain.more_descs, 'descriptor')} more`)
				: null,
			data('from the driver', chain.out_text, chain.out),
			data('from the device', chain.in_text, chain.in),
		);
	}

	/** What has just happened comes first: the newest; after returns, the newest of those. */
	function inOrder(record) {
		const newest = record.picture.chains.slice().reverse();
		if (record.cause !== 'used' && record.cause !== 'call') return newest;
		const isBack = (chain) => chain.owner === 'driver';
		return newest.filter(isBack).concat(newest.filter((chain) => !isBack(chain)));
	}

	function heading(shown, chains) {
		const latest = shown.every((chain, i) => chain === chains[chains.length - 1 - i]);
		return latest
			? 'Chains, the latest first'
			: 'Chains, those that came back first, each the latest first';
	}

	function draw(record) {
		if (!record.picture.chains.length)
			return [el('p', {}, 'No chain has been offered yet.')];
		const chains = inOrder(record);
		const rows = chains.map(row);
		const rest =
			rows.length > MAX_OPEN
				? el(
						'details',
						{},
						el(
							'summary',
							{},
							`and ${rows.length - MAX_OPEN} more`,
						),
						rows.slice(MAX_OPEN),
					)
				: null;
		return [
			el('h3', {}, heading(chains, record.picture.chains)),
			...rows.slice(0, MAX_OPEN),
			rest,
		];
	}

	return { draw };
})();
