// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

/**
 * The records, and how everything stands after each: the memory map, the rings,
 * what was negotiated. Keys of records are those of view-json.c.
 */
const Model = (() => {
	const NOTHING = Object.freeze({
		memory: [],
		rings: {},
		pictures: {},
		features: {},
		channel: false,
	});

	/** Where two free-running indices of 16 bits stand: whether a has reached b. */
	function reached(a, b) {
		return ((a - b) & 0xffff) < 0x8000;
	}

	function isServed(picture, waiting) {
		return picture.packed
			? picture.used_idx === waiting.idx
			: reached(picture.used_idx, waiting.idx);
	}

	/**
	 * A clock for each ring: from the oldest kick that waits to the picture in
	 * which all that was offered then has been returned.
	 */
	function makeClocks() {
		const waiting = new Map();
		return (record) => {
			const { picture } = record;
			const key = `${record.session} ${record.ring}`;
			const kick = waiting.get(key);
			let served;
			if (record.t === undefined) return undefined;
			if (kick && isServed(picture, kick)) {
				served = record.t - kick.t;
				waiting.delete(key);
			}
			if (record.cause === 'kick' && picture.offered > 0 && !waiting.has(key))
				waiting.set(key, { idx: picture.avail_idx, t: record.t });
			return served;
		};
	}

	/** The ring that a record is about, or undefined. */
	function ringOf(record) {
		if (record.kind === 'ring') return record.ring;
		return record.ring ? record.ring.index : undefined;
	}

	/** What the record changes in what was before. */
	function after(before, record, place) {
		if (record.kind === 'open') return NOTHING;
		const change = {};
		if (record.memory) change.memory = record.memory;
		if (record.features) change.features = record.features;
		if (record.kind === 'channel') change.channel = true;
		if (record.kind === 'end' && record.channel) change.channel = false;
		if (record.kind === 'ring') {
			change.pictures = Object.assign({}, before.pictures, {
				[record.ring]: place,
			});
		} else if (record.ring) {
			change.rings = Object.assign({}, before.rings, {
				[record.ring.index]: Object.assign({}, record.ring, {
					state: record.ring.after,
				}),
			});
		}
		return Object.keys(change).length ? Object.assign({}, before, change) : before;
	}

	/** Names of bits as the messages say them: {features: {bit: name}, protocol: {...}}. */
	function bitNames(records) {
		const names = { features: {}, protocol: {} };
		for (const record of records) {
			if (!record.fields || !/FEATURES$/.test(record.name)) continue;
			const into = /PROTOCOL/.test(record.name) ? names.protocol : names.features;
			for (const field of record.fields.filter((f) => f.part === 'payload')) {
				for (const bit of field.bits || []) into[bit.bit] = bit.name;
			}
		}
		return names;
	}

	/** Whether reply answers request; when it was sent tells those of one name apart. */
	function isAnswered(request, reply) {
		const { name, ns } = reply.answers;
		return (
			!request.reply &&
			request.name === name &&
			request.session === reply.session &&
			Boolean(request.channel) === Boolean(reply.channel) &&
			(ns === undefined || reply.t - request.t === ns)
		);
	}

	/** Requests and their replies, by place, both ways. */
	function partners(records) {
		const partner = new Map();
		records.forEach((reply, place) => {
			let i = reply.answers ? place - 1 : -1;
			while (i >= 0 && !isAnswered(records[i], reply)) i--;
			if (i >= 0) partner.set(i, place).set(place, i);
		});
		return partner;
	}

	function numbersOf(records, number) {
		const found = new Set(records.map(number).filter((n) => n !== undefined));
		return [...found].sort((a, b) => a - b);
	}

	function read(text) {
		const { device, records } = JSON.parse(text);
		const clock = makeClocks();
		const states = [];
		const served = [];
		const last = new Map();
		const placeOf = new Map();

		records.forEach((record, place) => {
			const state = after(last.get(record.session) || NOTHING, record, place);
			last.set(record.session, state);
			states.push(state);
			served.push(record.kind === 'ring' ? clock(record) : undefined);
			placeOf.set(record.n, place);
		});
		return {
			device,
			records,
			states,
			served,
			placeOf,
			partner: partners(records),
			names: bitNames(records),
			rings: numbersOf(records, ringOf),
			sessions: numbersOf(records, (record) => record.session),
			hasChannel: records.some(
				(record) => record.channel || record.kind === 'channel',
			),
		};
	}

	/** Places of the pictures of a session's ring, in order. */
	function picturesOf(model, session, ring) {
		const places = [];
		model.records.forEach((record, place) => {
			if (
				record.kind === 'ring' &&
				record.ring === ring &&
				record.session === session
			)
				places.push(place);
		});
		return places;
	}

	/** Whether a record passes: {text, ring, from, broken}, each may be empty. */
	function passes(record, filter) {
		const isMessage = record.kind === 'message' || record.kind === 'raw';
		if (
			filter.text &&
			!`${record.name || ''} ${record.line}`.toLowerCase().includes(filter.text)
		)
			return false;
		if (filter.ring !== '' && ringOf(record) !== Number(filter.ring)) return false;
		if (filter.from && (!isMessage || record.dir !== filter.from)) return false;
		return !filter.broken || Boolean(record.rule || record.failed || wrongs(record));
	}

	/** The rules that the device has broken in a picture; undefined: none, or no picture. */
	function wrongs(record) {
		return record.picture && record.picture.wrong;
	}

	return { wrongs, read, ringOf, picturesOf, passes };
})();
