// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

/**
 * The memory map: one region in three address spaces, side by side. Not to
 * scale: sizes count by their logarithm, and holes are all alike.
 */
const Memory = (() => {
	const { el, svg } = Dom;
	const WIDTH = 930;
	const TOP = 62;
	const BOX = 190; // width of a box
	const HOLE = 20; // height of one
	const COLUMNS = [
		{ key: 'file', x: 10, title: 'File offset', hint: 'what the back-end maps' },
		{ key: 'guest', x: 270, title: 'Guest-physical', hint: 'in descriptors' },
		{ key: 'user', x: 530, title: 'Front-end virtual', hint: 'in SET_VRING_ADDR' },
	];
	const LABEL_X = 756;
	const LABEL_STEP = 34;
	const N_COLOURS = 8;
	const MAX_NAME = 23; // letters that a box has room for

	/** Foreign numbers of 64 bits; their sums may need more, and have it. */
	function big(text) {
		return BigInt(text || 0);
	}

	function fileName(region) {
		return region.file ? region.file.text : 'no descriptor';
	}

	function fileKey(file) {
		return file ? `${file.inode || ''} ${file.path} ${file.size}` : '';
	}

	/** Regions with their place in each space. Files lie one after the other. */
	function placed(memory) {
		const files = [];
		return memory.map((region, i) => {
			const key = fileKey(region.file);
			if (!files.includes(key)) files.push(key);
			const base = big(files.indexOf(key)) << big(80);
			const size = big(region.size) || big(1); // what is empty is drawn, too
			const span = (start) => [start, start + size];
			return {
				region,
				i,
				spans: {
					guest: span(big(region.guest)),
					user: span(big(region.user)),
					file: span(base + big(region.offset)),
				},
			};
		});
	}

	/** A region that is one piece has room for its two lines of text. */
	function pieceHeight(size, isWhole) {
		const bits = size.toString(2).length;
		return Math.min(Math.max(isWhole ? 44 : 12, (bits - 9) * 3.4), 90);
	}

	/**
	 * Where addresses of one space are drawn: pieces between the ends of regions
	 * and the marks, addresses that are to be told apart.
	 */
	function scale(regions, key, marks) {
		const edges = regions.flatMap((r) => r.spans[key]);
		const inside = marks.filter((m) =>
			regions.some((r) => r.spans[key][0] <= m && m < r.spans[key][1]),
		);
		const ends = [...new Set(edges.concat(inside))];
		ends.sort((a, b) => (a < b ? -1 : 1));
		const pieces = [];
		let y = TOP;
		for (let i = 0; i + 1 < ends.length; i++) {
			const [from, to] = [ends[i], ends[i + 1]];
			const covered = regions.some(
				(r) => r.spans[key][0] <= from && to <= r.spans[key][1],
			);
			const isWhole = regions.some(
				(r) => r.spans[key][0] === from && r.spans[key][1] === to,
			);
			const height = covered ? pieceHeight(to - from, isWhole) : HOLE;
			pieces.push({ from, to, covered, y, height });
			y += height;
		}
		const at = (address) => {
			const piece = pieces.find((p) => p.from <= address && address <= p.to);
			if (!piece) return undefined;
			// Within a piece a share is exact enough for a picture.
			return (
				piece.y +
				(piece.height * Number(address - piece.from)) /
					Number(piece.to - piece.from)
			);
		};
		return { pieces, at, bottom: y };
	}

	function start(region, key) {
		return { guest: region.guest, user: region.user, file: region.offset || '0x0' }[
			key
		];
	}

	function cut(name) {
		return name.length <= MAX_NAME ? name : `${name.slice(0, MAX_NAME - 1)}…`;
	}

	function text(x, y, words, attributes) {
		return svg('text', Object.assign({ x, y }, attributes), words);
	}

	function isWrong(region, column) {
		return Boolean(column.key === 'file' ? region.past_file : region.overlaps);
	}

	/** Boxes of a space; what is wrong lies on top. */
	function boxes(regions, column, map) {
		const wrongLast = regions
			.slice()
			.sort((a, b) => isWrong(a.region, column) - isWrong(b.region, column));
		return wrongLast.map((r) => box(r, column, map));
	}

	function box(r, column, map) {
		const [from, to] = r.spans[column.key].map(map.at);
		const wrong = isWrong(r.region, column);
		const height = Math.max(to - from, 3);
		return svg(
			'g',
			{ class: `region r${r.i % N_COLOURS}${wrong ? ' wrong' : ''}` },
			svg(
				'title',
				{},
				`region ${r.i}: ${Dom.size(r.region.size)} from ${start(r.region, column.key)}`,
			),
			svg('rect', { x: column.x, y: from, width: BOX, height, rx: 4 }),
			text(column.x + 8, from + 16, start(r.region, column.key), {
				class: 'address',
			}),
			height < 36
				? null
				: text(
						column.x + 8,
						from + 33,
						column.key === 'file'
							? cut(fileName(r.region))
							: Dom.size(r.region.size),
						{},
					),
			wrong
				? text(
						column.x + BOX - 8,
						height < 50 ? from + 33 : from + 50,
						column.key === 'file' ? 'past the end' : 'overlaps',
						{ class: 'warning' },
					)
				: null,
		);
	}

	function hole(piece, column) {
		const y = piece.y + piece.height / 2;
		const other = piece.to - piece.from > big(1) << big(72);
		return svg(
			'g',
			{ class: 'hole' },
			svg('path', {
				d: `M${column.x + 20} ${y - 3}h${BOX - 40}m0 6h${40 - BOX}`,
			}),
			svg(
				'title',
				{},
				other
					? 'another file'
					: `a hole of ${Dom.size(piece.to - piece.from)}`,
			),
		);
	}

	/** The same bytes in two neighbouring spaces. */
	function band(r, left, right, maps) {
		const [a, b] = r.spans[left.key].map(maps[left.key].at);
		const [c, d] = r.spans[right.key].map(maps[right.key].at);
		const [x1, x2] = [left.x + BOX, right.x];
		return svg('path', {
			class: `band r${r.i % N_COLOURS}`,
			d: `M${x1} ${a}L${x2} ${c}V${d}L${x1} ${b}Z`,
		});
	}

	function headings() {
		return COLUMNS.flatMap((column) => [
			text(column.x, 22, column.title, { class: 'space' }),
			text(column.x, 42, column.hint, { class: 'hint' }),
		]);
	}

	/** Rings with areas that can be drawn: their marks in the front-end's space. */
	function ringMarks(rings, map) {
		return Object.values(rings)
			.filter((ring) => ring.areas)
			.map((ring) => {
				const ys = ring.areas.map((area) => map.at(big(area.user)));
				return {
					ring,
					ys: ys.filter((y) => y !== undefined),
					wrong: ring.areas.some((area) => area.fault),
				};
			})
			.sort((a, b) => (a.ys[0] || 0) - (b.ys[0] || 0));
	}

	function ringLabel(mark, y) {
		const edge = COLUMNS[2].x + BOX;
		const { ring } = mark;
		return svg(
			'g',
			{
				class: `ringmark r${(ring.index + 3) % N_COLOURS}${mark.wrong ? ' wrong' : ''}`,
			},
			mark.ys.map((to) =>
				svg('path', {
					d: `M${edge - 26} ${to}H${edge}L${LABEL_X - 6} ${y}`,
				}),
			),
			text(LABEL_X, y, `ring ${ring.index}`, { class: 'ringname' }),
			text(LABEL_X, y + 13, mark.wrong ? 'not in memory' : 'desc, avail, used', {
				class: 'hint',
			}),
		);
	}

	function ringLabels(rings, map) {
		let y = TOP;
		return ringMarks(rings, map).map((mark) => {
			y = Math.max(y + LABEL_STEP, (mark.ys[0] || 0) + 5);
			return { y, node: ringLabel(mark, y) };
		});
	}

	/** Buffers of the chains that are in the last pictures, as ticks in the guest's space. */
	function bufferTicks(model, state, map) {
		const x = COLUMNS[1].x;
		const ticks = [];
		for (const place of Object.values(state.pictures)) {
			const { ring, picture } = model.records[place];
			for (const desc of picture.chains.flatMap((chain) => chain.descs)) {
				const y = map.at(big(desc.addr));
				if (y !== undefined) {
					ticks.push(
						svg(
							'path',
							{
								class: 'tick',
								d: `M${x + BOX - 18} ${y}h18`,
							},
							svg(
								'title',
								{},
								`ring ${ring}: ${desc.len} bytes at ${desc.addr}`,
							),
						),
					);
				}
			}
		}
		return ticks;
	}

	function drawing(model, state) {
		const regions = placed(state.memory);
		const maps = {};
		const firsts = Object.values(state.rings)
			.filter((ring) => ring.areas && ring.areas.length)
			.map((ring) =>
				ring.areas
					.map((area) => big(area.user))
					.reduce((a, b) => (a < b ? a : b)),
			);
		for (const column of COLUMNS)
			maps[column.key] = scale(
				regions,
				column.key,
				column.key === 'user' ? firsts : [],
			);
		const labels = ringLabels(state.rings, maps.user);
		const bottom = Math.max(
			...COLUMNS.map((c) => maps[c.key].bottom),
			...labels.map((l) => l.y + 16),
		);
		return svg(
			'svg',
			{
				class: 'map',
				viewBox: `0 0 ${WIDTH} ${Math.ceil(bottom) + 8}`,
				role: 'img',
				'aria-label': `${Dom.plural(regions.length, 'region')} in three address spaces`,
			},
			headings(),
			regions.map((r) => band(r, COLUMNS[0], COLUMNS[1], maps)),
			regions.map((r) => band(r, COLUMNS[1], COLUMNS[2], maps)),
			COLUMNS.flatMap((c) =>
				maps[c.key].pieces.filter((p) => !p.covered).map((p) => hole(p, c)),
			),
			COLUMNS.flatMap((c) => boxes(regions, c, maps[c.key])),
			bufferTicks(model, state, maps.guest),
			labels.map((label) => label.node),
		);
	}

	function regionRow(region, i) {
		const faults = [
			region.overlaps ? 'overlaps another' : '',
			region.past_file ? 'ends past its file' : '',
		];
		const end = (from) => `${from} … ${Dom.hexSum(Dom.hexSum(from, region.size), -1)}`;
		return el(
			'tr',
			{ class: region.overlaps || region.past_file ? 'wrong' : '' },
			[
				`${i}`,
				end(region.guest),
				end(region.user),
				region.offset || '0x0',
				Dom.size(region.size),
				fileName(region),
				faults.filter(Boolean).join(', '),
			].map((cell) => el('td', {}, cell)),
		);
	}

	function areaRows(ring) {
		return ring.areas.map((area) =>
			el(
				'tr',
				{ class: area.fault ? 'wrong' : '' },
				[
					`${ring.index}`,
					area.what,
					area.user,
					area.guest || '',
					area.offset || '',
					Dom.size(area.len),
					area.fault || '',
				].map((cell) => el('td', {}, cell)),
			),
		);
	}

	function show(node, model, place) {
		const state = model.states[place];
		if (!state.memory.length) {
			Dom.show(
				node,
				el(
					'h2',
					{},
					'Memory',
					el('small', {}, ` after #${model.records[place].n}`),
				),
				el(
					'p',
					{},
					'Nothing is mapped yet: SET_MEM_TABLE or ADD_MEM_REG brings memory.',
				),
			);
			return;
		}
		const rings = Object.values(state.rings).filter((ring) => ring.areas);
		Dom.show(
			node,
			el(
				'h2',
				{},
				'Memory',
				el('small', {}, ` after #${model.records[place].n}`),
			),
			drawing(model, state),
			Dom.table(
				'Regions',
				[
					'',
					'guest-physical',
					'front-end virtual',
					'offset',
					'size',
					'file',
					'',
				],
				state.memory.map(regionRow),
			),
			rings.length
				? Dom.table(
						'Ring areas',
						[
							'ring',
							'area',
							'front-end virtual',
							'guest-physical',
							'offset',
							'size',
							'',
						],
						rings.flatMap(areaRows),
					)
				: null,
		);
	}

	return { show };
})();
