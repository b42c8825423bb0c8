// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

/**
 * The sequence diagram: one row of fixed height for each record. Only rows that
 * can be seen are in the document, so that a long session scrolls as a short one.
 */
const Sequence = (() => {
	const { el } = Dom;
	const ROW = 44; // as --row in page.css
	const SPARE = 8; // rows above and below what is seen
	const MAX_RING_LANES = 8;
	const ARROW_TO = { kick: 'to-back-end', call: 'to-front-end' };

	/** One descriptor by what it is; several by their kinds. */
	function badges(fds) {
		if (!fds || !fds.length) return null;
		const kinds = [...new Set(fds.map((fd) => fd.kind))];
		const words =
			fds.length === 1
				? [fds[0].text]
				: kinds.map(
						(kind) =>
							`${fds.filter((fd) => fd.kind === kind).length} × ${kind}`,
					);
		return words.map((text) =>
			el(
				'span',
				{
					class: 'badge',
					title: fds.map((fd) => fd.text).join(', '),
				},
				text,
			),
		);
	}

	/** A reply that only says whether it was done. */
	function isAcknowledgement(record) {
		return record.reply && !/^GET_/.test(record.name) && record.size === 8;
	}

	/** What the payload says, as short as it can be. */
	function summary(record) {
		const fields = (record.fields || []).filter((f) => f.part === 'payload');
		if (isAcknowledgement(record)) return record.failed ? 'no' : 'done';
		if (record.name === 'SET_MEM_TABLE' && fields.length)
			return Dom.plural(Number(fields[0].value), 'region');
		const words = record.ring ? [`ring ${record.ring.index}`] : [];
		const others = fields.filter(
			(f) => f.name !== 'index' && !(record.ring && f.name === 'value'),
		);
		const short = (f) => f.value.replace(/\[.*/, '');
		if (!words.length && others.length === 1) return short(others[0]);
		return words
			.concat(others.slice(0, 4).map((f) => `${f.name}=${short(f)}`))
			.join(' ');
	}

	function verdict(record) {
		if (record.rule) {
			const { clauses, text, severity } = record.rule;
			return el('span', { class: `clause ${severity}`, title: text }, clauses);
		}
		return record.failed ? el('span', { class: 'clause refuse' }, 'failed') : null;
	}

	/** From which lifeline to which: the back-end speaks for itself on its channel. */
	function arrowClass(record) {
		const classes = ['arrow', record.dir];
		if (record.reply) classes.push('reply');
		if (record.channel) classes.push('on-channel');
		if (record.failed || (record.rule && record.rule.severity !== 'note'))
			classes.push('broken');
		return classes.join(' ');
	}

	function arrow(record) {
		const reply = record.reply ? el('span', { class: 'what' }, 'reply') : null;
		const flag = record.need_reply
			? el('span', { class: 'what', title: 'an acknowledgement is wanted' }, '⏎')
			: null;
		const name = record.name || `${record.size} bytes that are no message`;
		return el(
			'div',
			{ class: arrowClass(record) },
			el(
				'div',
				{ class: 'label' },
				el('b', {}, name),
				reply,
				flag,
				el('span', { class: 'args' }, summary(record)),
				badges(record.fds),
				verdict(record),
			),
			el('div', { class: 'shaft' }),
		);
	}

	/** What a picture shows, in a few words. */
	function found(record, served) {
		const { offered } = record.picture;
		const took = served === undefined ? '' : ` after ${Dom.duration(served)}`;
		if (record.cause === 'used')
			return `${offered ? `${Dom.plural(offered, 'chain')} left` : 'all returned'}${took}`;
		return offered
			? `${Dom.plural(offered, 'chain')} for the device`
			: 'nothing is offered';
	}

	/** A picture: kicks and calls pass beside the socket, so their arrows are thin. */
	function signal(record, served) {
		const to = ARROW_TO[record.cause] || '';
		return el(
			'div',
			{ class: `signal ${to} ${record.cause}` },
			el(
				'div',
				{ class: 'label' },
				el('b', {}, `ring ${record.ring}: ${record.cause}`),
				el('span', { class: 'found' }, found(record, served)),
			),
			to ? el('div', { class: 'shaft' }) : null,
		);
	}

	function remark(record) {
		const text = record.text ? `: ${record.text}` : '';
		const words = {
			open: `session ${record.session} begins${text}`,
			channel: 'the back-end’s channel is open',
			end:
				`${record.dir === 'to-back-end' ? 'the front-end' : 'the back-end'} closes ` +
				`${record.channel ? 'the channel' : 'the connection'}${text}`,
			note: record.text,
		};
		return el(
			'div',
			{ class: `remark ${record.kind}` },
			el('span', {}, words[record.kind] || record.line),
		);
	}

	function drawing(record, served) {
		if (record.kind === 'message' || record.kind === 'raw') return arrow(record);
		return record.kind === 'ring' ? signal(record, served) : remark(record);
	}

	function lifelines(model, state) {
		const lines = [el('i', { class: 'life front' }), el('i', { class: 'life back' })];
		if (model.hasChannel)
			lines.push(
				el('i', { class: `life chan${state.channel ? '' : ' unborn'}` }),
			);
		return lines;
	}

	/** How each ring stands after the record; a mark where it has just changed. */
	function ringLanes(lanes, state, record) {
		const changed =
			record.kind === 'message' &&
			record.ring &&
			record.ring.before !== record.ring.after
				? record.ring.index
				: -1;
		return lanes.map((ring) => {
			const now = state.rings[ring] ? state.rings[ring].state : 'stopped';
			return el('i', {
				class: `lane ${now}${ring === changed ? ' changed' : ''}`,
				title: `ring ${ring}: ${now}`,
			});
		});
	}

	function row(model, lanes, place) {
		const record = model.records[place];
		const state = model.states[place];
		const session = model.sessions.length > 1 ? `${record.session}: ` : '';
		const node = el(
			'div',
			{
				class: `row ${record.kind}${record.rule ? ` rule-${record.rule.severity}` : ''}`,
				role: 'option',
				id: `row-${place}`,
				'data-n': record.n,
				'aria-label': record.line,
			},
			el(
				'span',
				{ class: 'time' },
				el('span', {}, Dom.seconds(record.t)),
				el(
					'small',
					{},
					`${session}#${record.n}${record.dt ? ` +${Dom.duration(record.dt)}` : ''}`,
				),
			),
			el(
				'div',
				{ class: 'lines' },
				lifelines(model, state),
				drawing(record, model.served[place]),
			),
			el('div', { class: 'lanes' }, ringLanes(lanes, state, record)),
		);
		return node;
	}

	function heading(node, model, lanes) {
		Dom.show(
			node,
			el('span', { class: 'time' }, 'time'),
			el(
				'div',
				{ class: 'lines' },
				el('b', { class: 'front' }, 'Front-end'),
				el('b', { class: 'back' }, 'Back-end'),
				model.hasChannel ? el('b', { class: 'chan' }, 'Channel') : null,
			),
			el(
				'div',
				{ class: 'lanes' },
				lanes.map((ring) => el('b', {}, `${ring}`)),
			),
		);
	}

	/** How to read the lines of rings. */
	function key(node) {
		Dom.show(
			node,
			el('span', {}, 'A ring’s line:'),
			['stopped', 'started', 'enabled', 'running'].map((state) =>
				el('span', {}, el('i', { class: `lane ${state}` }), state),
			),
		);
	}

	class List {
		/** nodes: list, head, foot. onSelect(place) is called when the user picks a row. */
		constructor(model, nodes, onSelect) {
			this.model = model;
			this.list = nodes.list;
			this.onSelect = onSelect;
			this.lanes = model.rings.slice(0, MAX_RING_LANES);
			this.spacer = el('div', { class: 'spacer' });
			this.drawn = new Map(); // place: row
			this.shown = []; // places
			this.selected = -1;

			this.list.append(this.spacer);
			heading(nodes.head, model, this.lanes);
			key(nodes.foot);
			for (const node of [nodes.list, nodes.head])
				node.classList.toggle('has-channel', model.hasChannel);
			this.listen();
		}

		listen() {
			this.list.addEventListener('scroll', () => this.draw(), { passive: true });
			new ResizeObserver(() => this.draw()).observe(this.list);
			this.list.addEventListener('click', (event) => {
				const node = event.target.closest('.row');
				if (node)
					this.onSelect(
						this.model.placeOf.get(Number(node.dataset.n)),
					);
			});
		}

		mark(place) {
			const node = this.drawn.get(place);
			if (node) node.setAttribute('aria-selected', place === this.selected);
		}

		/** Forgets rows that are not wanted. */
		drop(wanted) {
			for (const [place, node] of this.drawn) {
				if (!wanted.has(place)) {
					node.remove();
					this.drawn.delete(place);
				}
			}
		}

		drawRow(place, i) {
			if (!this.drawn.has(place)) {
				this.drawn.set(place, row(this.model, this.lanes, place));
				this.spacer.append(this.drawn.get(place));
			}
			const node = this.drawn.get(place);
			node.style.top = `${i * ROW}px`;
			node.setAttribute('aria-posinset', i + 1);
			node.setAttribute('aria-setsize', this.shown.length);
			this.mark(place);
		}

		/** Draws what can be seen. */
		draw() {
			const { scrollTop, clientHeight } = this.list;
			const first = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
			const end = Math.ceil((scrollTop + clientHeight) / ROW) + SPARE;
			const wanted = this.shown.slice(first, end);
			this.drop(new Set(wanted));
			wanted.forEach((place, i) => this.drawRow(place, first + i));
		}

		reveal(i) {
			const top = i * ROW;
			const { scrollTop, clientHeight } = this.list;
			if (i < 0) return;
			if (top < scrollTop) this.list.scrollTop = top;
			else if (top + ROW > scrollTop + clientHeight)
				this.list.scrollTop = top + ROW - clientHeight;
		}

		select(place) {
			const before = this.selected;
			this.selected = place;
			const i = this.shown.indexOf(place);
			this.reveal(i);
			this.draw();
			this.mark(before);
			if (i >= 0) this.list.setAttribute('aria-activedescendant', `row-${place}`);
			else this.list.removeAttribute('aria-activedescendant');
		}

		/** These places alone. */
		show(places) {
			this.shown = places;
			this.spacer.style.height = `${places.length * ROW}px`;
			this.reveal(places.indexOf(this.selected));
			this.draw();
		}

		/** Selects some rows away; from the next one that is shown, if it is not. */
		move(by) {
			const { shown, selected } = this;
			if (!shown.length) return;
			const i = shown.findIndex((place) => place >= selected);
			const from = i < 0 ? shown.length - 1 : i;
			this.onSelect(shown[Math.min(Math.max(from + by, 0), shown.length - 1)]);
		}

		pageRows() {
			return Math.floor(this.list.clientHeight / ROW) - 1;
		}
	}

	return { List };
})();
