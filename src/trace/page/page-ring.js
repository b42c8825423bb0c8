// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

/** A ring, picture by picture: its two circles of slots, and who waits for what. */
const Ring = (() => {
	const { el, svg } = Dom;
	const R_OUT = 92;
	const R_IN = 66;
	const MAX_WEDGES = 256; // larger rings are drawn with fewer, wider slots
	const SPEEDS = [
		['slow', 1600],
		['normal', 800],
		['fast', 250],
	];

	function point(angle, radius) {
		return `${(radius * Math.sin(angle)).toFixed(2)} ${(-radius * Math.cos(angle)).toFixed(2)}`;
	}

	function wedge(i, n) {
		const gap = n <= 64 ? 0.015 : 0;
		const [a, b] = [(2 * Math.PI * i) / n + gap, (2 * Math.PI * (i + 1)) / n - gap];
		return (
			`M${point(a, R_OUT)}A${R_OUT} ${R_OUT} 0 0 1 ${point(b, R_OUT)}` +
			`L${point(b, R_IN)}A${R_IN} ${R_IN} 0 0 0 ${point(a, R_IN)}Z`
		);
	}

	/** A hand that points at an index from outside, or inside, of the slots. */
	function hand(kind, words) {
		const d =
			kind === 'event'
				? `M0 ${-R_IN + 2}l-6 12h12z`
				: `M0 ${-R_OUT - 2}l-7 -13h14z`;
		return svg(
			'g',
			{ class: `hand ${kind}` },
			svg('path', { d }),
			svg('title', {}, words),
		);
	}

	/** Whether n slots from first on, round the ring, have one in common with a run of slots. */
	function touches(first, n, [start, length], size) {
		const ahead = (a, b) => (((a - b) % size) + size) % size;
		return length > 0 && (ahead(first, start) < length || ahead(start, first) < n);
	}

	/** Slots in a circle, and hands that point at some of them. */
	function makeCircle(title, size, hands) {
		const n = Math.max(1, Math.min(size, MAX_WEDGES));
		const wedges = Array.from({ length: n }, (_, i) => svg('path', { d: wedge(i, n) }));
		const numbers = [0, 1, 2, 3]
			.filter((q) => n >= 4 || q === 0)
			.map((q) =>
				svg(
					'text',
					{
						x: 54 * Math.sin((q * Math.PI) / 2),
						y: 4 - 54 * Math.cos((q * Math.PI) / 2),
					},
					`${Math.floor((size * q) / 4)}`,
				),
			);
		const pointers = hands.map(([kind, words]) => hand(kind, words));
		const words = svg('text', { class: 'middle', y: 12 }, '');
		const node = svg(
			'svg',
			{
				class: 'circle',
				viewBox: '-118 -118 236 236',
				role: 'img',
				'aria-label': title,
			},
			svg('g', { class: 'slots' }, wedges),
			svg('g', { class: 'numbers' }, numbers),
			svg('text', { class: 'middle name', y: -8 }, title),
			words,
			pointers,
		);

		/** runs: [first slot, how many] that are of class name; positions: of the hands. */
		function update(runs, name, positions, middle) {
			wedges.forEach((path, i) => {
				const [from, to] = [i, i + 1].map((edge) =>
					Math.floor((edge * size) / n),
				);
				const marked = runs.some((run) =>
					touches(from, to - from, run, size),
				);
				path.setAttribute('class', `slot ${marked ? name : 'of-driver'}`);
			});
			positions.forEach((position, i) => {
				const hidden = position === undefined;
				pointers[i].classList.toggle('hidden', hidden);
				if (!hidden)
					pointers[i].style.transform =
						`rotate(${(((position + 0.5) * 360) / size).toFixed(3)}deg)`;
			});
			words.textContent = middle;
		}
		return { node, update };
	}

	/** How many entries wait for the device; a ring that says nonsense has at most all. */
	function waiting(picture) {
		return Math.min(picture.offered, picture.size);
	}

	function makeSplit(size) {
		const avail = makeCircle('available', size, [
			['driver', 'the next entry that the driver fills: the available index'],
			[
				'event',
				'the device asks to be kicked when this entry is filled: avail_event',
			],
		]);
		const used = makeCircle('used', size, [
			['device', 'the next entry that the device fills: the used index'],
			[
				'event',
				'the driver asks to be called when this entry is filled: used_event',
			],
		]);
		return {
			nodes: [avail.node, used.node],
			update(p) {
				avail.update(
					[[p.used_idx, waiting(p)]],
					'of-device',
					[p.avail_idx, p.event_idx ? p.avail_event : undefined],
					`index ${p.avail_idx}`,
				);
				used.update(
					p.used.map((entry) => [entry.at, 1]),
					'returned',
					[p.used_idx, p.event_idx ? p.used_event : undefined],
					`index ${p.used_idx}`,
				);
			},
		};
	}

	/** Packed: both sides go round in one ring of descriptors. */
	function makePacked(size) {
		const circle = makeCircle('descriptors', size, [
			['driver', 'where the driver goes on'],
			['device', 'where the device goes on'],
		]);
		return {
			nodes: [circle.node],
			update(p) {
				const [to, from] = [p.avail_idx & 0x7fff, p.used_idx & 0x7fff];
				const wraps = (p.avail_idx ^ p.used_idx) & 0x8000;
				const n = wraps ? size - from + to : to - from;
				circle.update(
					[[from, n]],
					'of-device',
					[to, from],
					`wrap ${p.avail_idx >> 15} and ${p.used_idx >> 15}`,
				);
			},
		};
	}

	function wantsOfDriver(p) {
		const what = `when used entry ${p.used_event} is filled (event index)`;
		if (!p.event_idx || p.packed)
			return p.calls_off
				? 'asks for no call'
				: 'asks for a call when chains are returned';
		return p.calls_off
			? `wants no call now: it asks for one ${what}`
			: `asks to be called ${what}`;
	}

	function wantsOfDevice(p) {
		const what = `when available entry ${p.avail_event} is filled (event index)`;
		if (!p.event_idx || p.packed)
			return p.kicks_off
				? 'asks for no kick'
				: 'asks for a kick when chains are offered';
		return p.kicks_off
			? `wants no kick now: it asks for one ${what}`
			: `asks to be kicked ${what}`;
	}

	function words(record, served) {
		const p = record.picture;
		return [
			el(
				'p',
				{ class: 'wants' },
				el('span', { class: 'chip of-driver' }, 'driver'),
				` ${wantsOfDriver(p)}`,
			),
			el(
				'p',
				{ class: 'wants' },
				el('span', { class: 'chip of-device' }, 'device'),
				` ${wantsOfDevice(p)}`,
			),
			el(
				'p',
				{ class: 'wants' },
				el('span', { class: 'chip' }, record.cause),
				' ',
				p.offered
					? `${Dom.plural(p.offered, 'chain')} to be served`
					: 'nothing is to be served',
				served === undefined
					? ''
					: `; kick to used took ${Dom.duration(served)}`,
				p.missed ? `; ${p.missed} came and went between two pictures` : '',
			),
			...(Model.wrongs(record) || []).map((text) =>
				el('p', { class: 'rule refuse' }, text),
			),
		];
	}

	/** How to read the circles. */
	function legend(packed) {
		const item = (kind, text) => el('li', {}, el('i', { class: `sign ${kind}` }), text);
		return el(
			'ul',
			{ class: 'key' },
			item('slot of-device', 'the device has to serve it'),
			packed
				? item('slot of-driver', 'the driver’s')
				: item('slot returned', 'lately returned'),
			item('hand driver', 'the driver goes on here'),
			item('hand device', 'the device goes on here'),
			packed
				? null
				: item('hand event', 'event index: tell me when this is filled'),
		);
	}

	/** Steps by itself until step() says that there is nothing more, or to a pause. */
	class Player {
		constructor(button, step) {
			this.button = button;
			this.step = step;
			this.timer = 0;
			this.pause = SPEEDS[1][1];
			this.stop();
		}

		say(text, pressed) {
			this.button.textContent = text;
			this.button.setAttribute('aria-pressed', String(pressed));
		}

		wait(ms) {
			this.timer = setTimeout(
				() => (this.step() ? this.wait(this.pause) : this.stop()),
				ms,
			);
		}

		stop() {
			clearTimeout(this.timer);
			this.timer = 0;
			this.say('▶ Play', false);
		}

		toggle() {
			if (this.timer) {
				this.stop();
			} else {
				this.say('❚❚ Pause', true);
				this.wait(this.pause / 4);
			}
		}
	}

	class Panel {
		/** goTo(place) selects a record, which shows the panel anew. */
		constructor(node, model, goTo) {
			this.model = model;
			this.goTo = goTo;
			this.places = []; // of the ring's pictures
			this.key = ''; // what the circles are drawn for
			this.choice = el('div', {
				class: 'choice',
				role: 'group',
				'aria-label': 'Ring',
			});
			this.circles = el('div', { class: 'circles' });
			this.said = el('div', { class: 'said', 'aria-live': 'polite' });
			this.chains = el('div', { class: 'chains' });
			Dom.show(
				node,
				el('h2', {}, 'Rings'),
				this.choice,
				this.controls(),
				el('div', { class: 'stage' }, this.circles, this.said),
				this.chains,
			);
		}

		controls() {
			const play = el('button', {
				class: 'play',
				on: { click: () => this.play() },
			});
			const speed = el(
				'select',
				{ 'aria-label': 'Speed' },
				SPEEDS.map(([name, ms]) =>
					el(
						'option',
						{ value: ms, selected: name === 'normal' },
						name,
					),
				),
			);
			this.slider = el('input', {
				type: 'range',
				min: '0',
				step: '1',
				'aria-label': 'Picture',
			});
			this.count = el('output', {});
			this.player = new Player(play, () => this.step(1));
			this.slider.addEventListener('input', () => {
				this.player.stop();
				this.goTo(this.places[Number(this.slider.value)]);
			});
			speed.addEventListener('change', () => {
				this.player.pause = Number(speed.value);
			});
			return el(
				'div',
				{ class: 'controls' },
				this.button('◀', 'One picture back', -1),
				play,
				this.button('▶', 'One picture on', 1),
				this.slider,
				this.count,
				speed,
			);
		}

		button(text, title, by) {
			const click = () => {
				this.player.stop();
				this.step(by);
			};
			return el('button', { title, 'aria-label': title, on: { click } }, text);
		}

		step(by) {
			const place = this.places[Number(this.slider.value) + by];
			if (place === undefined) return false;
			this.goTo(place);
			return true;
		}

		/** From the beginning, if all has been seen. */
		play() {
			if (Number(this.slider.value) === this.places.length - 1)
				this.goTo(this.places[0]);
			this.player.toggle();
		}

		stop() {
			this.player.stop();
		}

		/** Draws the circles anew only for another ring, so that hands move. */
		drawing(picture) {
			const key = [this.session, this.ring, picture.packed, picture.size].join(
				' ',
			);
			if (key !== this.key) {
				this.key = key;
				this.drawn = (picture.packed ? makePacked : makeSplit)(
					picture.size,
				);
				Dom.show(
					this.circles,
					el('div', {}, this.drawn.nodes),
					legend(picture.packed),
				);
			}
			return this.drawn;
		}

		showChoice() {
			const rings = this.model.rings.filter(
				(ring) => Model.picturesOf(this.model, this.session, ring).length,
			);
			Dom.show(
				this.choice,
				rings.map((ring) =>
					el(
						'button',
						{
							'aria-pressed': String(ring === this.ring),
							on: { click: () => this.pick(ring) },
						},
						`ring ${ring}`,
					),
				),
			);
		}

		/** A ring by its button: its last picture up to here, else its first. */
		pick(ring) {
			const places = Model.picturesOf(this.model, this.session, ring);
			const earlier = places.filter((place) => place <= this.place);
			this.goTo(earlier.length ? earlier[earlier.length - 1] : places[0]);
		}

		choose(session, ring) {
			if (session === this.session && ring === this.ring) return;
			this.session = session;
			this.ring = ring;
			this.places = Model.picturesOf(this.model, session, ring);
			this.slider.max = String(Math.max(0, this.places.length - 1));
			this.player.stop();
			this.showChoice();
		}

		showPicture(place) {
			const record = this.model.records[place];
			const i = this.places.indexOf(place);
			this.slider.value = String(i);
			this.slider.setAttribute('aria-valuetext', record.line);
			this.count.textContent = `${i + 1} of ${this.places.length}`;
			this.drawing(record.picture).update(record.picture);
			Dom.show(this.said, words(record, this.model.served[place]));
			Dom.show(this.chains, Chains.draw(record));
		}

		showNothing() {
			this.count.textContent = '';
			this.key = '';
			Dom.show(this.circles);
			Dom.show(
				this.said,
				el('p', {}, 'No picture of a ring has been taken up to here.'),
			);
			Dom.show(this.chains);
		}

		/** The last picture up to place: of the record's own ring, else of the one before. */
		show(place) {
			const record = this.model.records[place];
			const seen = this.model.states[place].pictures;
			const rings = [
				Model.ringOf(record),
				this.ring,
				...Object.keys(seen).map(Number),
			];
			const ring = rings.find((r) => r !== undefined && seen[r] !== undefined);
			this.place = place;
			this.choose(record.session, ring === undefined ? this.ring : ring);
			if (ring === undefined) this.showNothing();
			else this.showPicture(seen[ring]);
		}
	}

	return { Panel };
})();
