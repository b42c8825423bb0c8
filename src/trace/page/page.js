// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

/**
 * The page as a whole. There is one thing that is chosen: a record. The bytes,
 * the map and the rings are shown as they are just after it.
 */
(() => {
	const TABS = ['bytes', 'memory', 'ring', 'summary'];
	const byId = (id) => document.getElementById(id);
	const model = Model.read(byId('records').textContent);
	const state = { place: -1, tab: 'bytes' };
	const nodes = { list: byId('sequence'), head: byId('lanes'), foot: byId('lanes-key') };
	const sequence = new Sequence.List(model, nodes, select);
	const ring = new Ring.Panel(byId('ring'), model, select);
	const panels = {
		bytes: (place) => Bytes.show(byId('bytes'), model, place, select),
		memory: (place) => Memory.show(byId('memory'), model, place),
		ring: (place) => ring.show(place),
		summary: (place) => Summary.show(byId('summary'), model, place, select),
	};

	function showTab(tab) {
		state.tab = tab;
		for (const name of TABS) {
			const chosen = name === tab;
			byId(name).hidden = !chosen;
			byId(`tab-${name}`).setAttribute('aria-selected', String(chosen));
			byId(`tab-${name}`).tabIndex = chosen ? 0 : -1;
		}
		if (tab !== 'ring') ring.stop();
		if (state.place >= 0) panels[tab](state.place);
	}

	/** Bytes and rings take turns, as the record has one or the other. */
	function tabFor(record) {
		if (state.tab !== 'bytes' && state.tab !== 'ring') return state.tab;
		return record.kind === 'ring' ? 'ring' : 'bytes';
	}

	function select(place) {
		if (place === undefined || place < 0) return;
		state.place = place;
		sequence.select(place);
		showTab(tabFor(model.records[place]));
	}

	function showFiltered() {
		const filter = {
			text: byId('filter-text').value.trim().toLowerCase(),
			ring: byId('filter-ring').value,
			from: byId('filter-from').value,
			broken: byId('filter-broken').checked,
		};
		const shown = model.records
			.map((_, place) => place)
			.filter((place) => Model.passes(model.records[place], filter));
		sequence.show(shown);
		showAbout(shown.length);
	}

	function showAbout(n) {
		const total = model.records.length;
		const messages = model.records.filter((r) => r.kind === 'message').length;
		const broken = model.records.filter(
			(r) => (r.rule && r.rule.severity !== 'note') || Model.wrongs(r),
		).length;
		byId('about').textContent = [
			Dom.plural(model.sessions.length, 'session'),
			Dom.plural(messages, 'message'),
			Dom.plural(total - messages, 'other record'),
			broken ? `${Dom.plural(broken, 'broken rule')}` : 'no broken rule',
			n === total ? '' : `${n} shown`,
		]
			.filter(Boolean)
			.join(' · ');
	}

	function isTyping(event) {
		return /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
	}

	/** In the list: the keys of a list. */
	function onListKey(event) {
		const far = model.records.length;
		const page = sequence.pageRows();
		const by = {
			ArrowDown: 1,
			ArrowUp: -1,
			j: 1,
			k: -1,
			PageDown: page,
			PageUp: -page,
			Home: -far,
			End: far,
		}[event.key];
		if (by === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
		event.preventDefault();
		sequence.move(by);
	}

	/** Anywhere: a digit is a tab, "/" is the filter. */
	function onKey(event) {
		if (event.ctrlKey || event.altKey || event.metaKey || isTyping(event)) return;
		const tab = TABS['1234'.indexOf(event.key)];
		if (tab) {
			showTab(tab);
		} else if (event.key === '/') {
			event.preventDefault();
			byId('filter-text').focus();
		}
	}

	function onTabKey(event) {
		const by = { ArrowRight: 1, ArrowLeft: TABS.length - 1 }[event.key];
		if (by === undefined) return;
		showTab(TABS[(TABS.indexOf(state.tab) + by) % TABS.length]);
		byId(`tab-${state.tab}`).focus();
	}

	function listen() {
		for (const tab of TABS)
			byId(`tab-${tab}`).addEventListener('click', () => showTab(tab));
		byId('tabs').addEventListener('keydown', onTabKey);
		byId('sequence').addEventListener('keydown', onListKey);
		document.addEventListener('keydown', onKey);
		byId('filter').addEventListener('input', showFiltered);
		byId('filter').addEventListener('submit', (event) => event.preventDefault());
	}

	function fillRings() {
		byId('filter-ring').append(
			Dom.el('option', { value: '' }, 'all rings'),
			...model.rings.map((r) =>
				Dom.el('option', { value: String(r) }, `ring ${r}`),
			),
		);
	}

	fillRings();
	listen();
	showFiltered();
	if (model.records.length) {
		const first = model.records.findIndex((r) => r.kind === 'message');
		select(Math.max(first, 0));
		byId('sequence').focus({ preventScroll: true });
	} else {
		byId('bytes').textContent = 'Nothing was recorded.';
	}
})();
