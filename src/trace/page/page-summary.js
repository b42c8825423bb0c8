// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

/** What a session came to: features, rings, broken rules, messages by name. */
const Summary = (() => {
	const { el } = Dom;
	const N_BITS = 64;
	/** What a back-end does with a message that breaks a rule of this severity. */
	const CONSEQUENCE = {
		note: 'worth a note',
		refuse: 'to be refused',
		close: 'ends the session',
	};

	function has(mask, bit) {
		return (
			mask !== undefined &&
			((BigInt(mask) >> BigInt(bit)) & BigInt(1)) === BigInt(1)
		);
	}

	function cells(values, attributes) {
		return el(
			'tr',
			attributes,
			values.map((v) => el('td', {}, v)),
		);
	}

	function verdict(offered, accepted, known) {
		if (accepted && !offered) return 'accepted, but not offered';
		if (accepted) return 'accepted';
		return known ? 'offered only' : 'offered';
	}

	function features(caption, names, offered, accepted) {
		const rows = [];
		for (let bit = 0; bit < N_BITS; bit++) {
			const [o, a] = [has(offered, bit), has(accepted, bit)];
			if (o || a) {
				rows.push(
					cells(
						[
							`${bit}`,
							names[bit] || '',
							verdict(o, a, accepted !== undefined),
						],
						{ class: a && !o ? 'wrong' : a ? 'good' : 'dim' },
					),
				);
			}
		}
		return Dom.table(caption, ['bit', 'name', ''], rows);
	}

	function histogram(buckets) {
		const most = Math.max(...buckets.map(([, n]) => n));
		return el(
			'div',
			{ class: 'histogram' },
			buckets.map(([lower, n]) => {
				const bar = el('i', {
					title: `${n} from ${Dom.duration(lower)} on`,
				});
				bar.style.height = `${Math.max(8, (100 * n) / most)}%`;
				return bar;
			}),
		);
	}

	/** The last figures of each ring: those of the end, else of its last picture. */
	function latencies(records) {
		const found = {};
		for (const record of records) {
			if (record.kind === 'ring' && record.latency)
				found[record.ring] = record.latency;
			for (const latency of Array.isArray(record.latency) ? record.latency : [])
				found[latency.ring] = latency;
		}
		return found;
	}

	/**
	 * How many kicks, or calls, were seen: as messages (in-band), of which one may be
	 * the cause of a picture, too, else in pictures. Words, if they cannot be seen.
	 */
	function signals(records, r, { cause, message, descriptor }) {
		const ofRing = records.filter((x) => Model.ringOf(x) === r);
		const sent = ofRing.filter((x) => x.name === message && !x.reply);
		const pictures = ofRing.filter((x) => x.kind === 'ring' && x.cause !== 'asked');
		const given = ofRing.filter((x) => x.name === descriptor && x.fds).pop();
		if (sent.length) return `${sent.length}`;
		if (given && given.fds[0].kind !== 'eventfd')
			return `cannot be seen: ${given.fds[0].kind}`;
		if (!pictures.length) return 'not looked for';
		return `${pictures.filter((x) => x.cause === cause).length}`;
	}

	const KICKS = { cause: 'kick', message: 'VRING_KICK', descriptor: 'SET_VRING_KICK' };
	const CALLS = {
		cause: 'call',
		message: 'BACKEND_VRING_CALL',
		descriptor: 'SET_VRING_CALL',
	};

	/** What became of its chains, as the end of the session says. */
	function chains(end, r) {
		const ring = end ? end.rings.find((x) => x.ring === r) : undefined;
		if (!ring || ring.offered === undefined) return '';
		const never = ring.waiting ? `, ${ring.waiting} never` : '';
		return `${ring.returned} of ${ring.offered} came back${never}`;
	}

	function rings(model, records, state) {
		const took = latencies(records);
		const end = records.find((x) => x.rings);
		const rows = model.rings
			.filter((r) => state.rings[r] || state.pictures[r] !== undefined)
			.map((r) => {
				const ring = state.rings[r] || {};
				const l = took[r];
				return cells([
					`${r}`,
					ring.num === undefined ? '' : `${ring.num}`,
					ring.state || '',
					signals(records, r, KICKS),
					signals(records, r, CALLS),
					chains(end, r),
					l ? Dom.duration(l.median_ns) : '',
					l ? Dom.duration(l.max_ns) : '',
					l && l.buckets ? histogram(l.buckets) : '',
				]);
			});
		return Dom.table(
			'Rings',
			[
				'ring',
				'entries',
				'at the end',
				'kicks seen',
				'calls seen',
				'chains',
				'kick to used: median',
				'longest',
				'by powers of two',
			],
			rows,
		);
	}

	/** A row that leads to record n. */
	function finding(n, isNote, texts, goTo, model) {
		const click = () => goTo(model.placeOf.get(n));
		const link = el('button', { class: 'link', on: { click } }, `#${n}`);
		return el(
			'tr',
			{ class: isNote ? '' : 'wrong' },
			el('td', {}, link),
			texts.map((text) => el('td', {}, text)),
		);
	}

	/** What devices did wrong, as pictures show it: each once, though it may be in many. */
	function wrongsOf(records) {
		const seen = new Map();
		for (const r of records)
			for (const text of Model.wrongs(r) || []) {
				const key = `${r.ring} ${text}`;
				if (!seen.has(key)) seen.set(key, { n: r.n, ring: r.ring, text });
			}
		return [...seen.values()];
	}

	/** Notes, too: what implementations differ about. */
	function broken(records, goTo, model) {
		const ofMessages = records
			.filter((r) => r.rule)
			.map(({ n, name, kind, rule }) => {
				const consequence = CONSEQUENCE[rule.severity];
				const texts = [name || kind, rule.text, rule.clauses, consequence];
				return finding(n, rule.severity === 'note', texts, goTo, model);
			});
		const ofRings = wrongsOf(records).map(({ n, ring, text }) =>
			finding(n, false, [`ring ${ring}`, text, '', ''], goTo, model),
		);
		const rows = [...ofMessages, ...ofRings];
		return (
			Dom.table(
				'Rules that were not kept',
				['', 'message', 'rule', 'clauses', ''],
				rows,
			) || el('p', { class: 'fine' }, 'Every message kept the rules.')
		);
	}

	function counts(records) {
		const n = new Map();
		for (const r of records.filter((x) => x.kind === 'message')) {
			const key = r.name + (r.reply ? ' reply' : '');
			n.set(key, (n.get(key) || 0) + 1);
		}
		return Dom.table(
			'Messages',
			['', 'name'],
			[...n]
				.sort((a, b) => b[1] - a[1])
				.map(([name, many]) => cells([`${many}`, name])),
		);
	}

	function show(node, model, place, goTo) {
		const { session } = model.records[place];
		const places = model.records
			.map((_, i) => i)
			.filter((i) => model.records[i].session === session);
		const records = places.map((i) => model.records[i]);
		const state = model.states[places[places.length - 1]];
		const f = state.features;
		Dom.show(
			node,
			el('h2', {}, `Session ${session}`),
			broken(records, goTo, model),
			rings(model, records, state),
			el(
				'div',
				{ class: 'side-by-side' },
				features('Features', model.names.features, f.offered, f.accepted),
				features(
					'Protocol features',
					model.names.protocol,
					f.protocol_offered,
					f.protocol_accepted,
				),
				counts(records),
			),
		);
	}

	return { show };
})();
