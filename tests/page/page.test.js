// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// Opens a page of vhu-trace --html in a headless browser and uses it as people
// do. Prints TAP.
//
//	node page.test.js PAGE HOSTILE-PAGE SCREENSHOTS
//
// PAGE is any session with messages, memory and pictures of rings. In the names
// of HOSTILE-PAGE there is markup that sets window.pwned if it becomes part of
// the document. VHU_NODE_MODULES: where puppeteer-core is.
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');

const modules = process.env.VHU_NODE_MODULES || path.join(__dirname, 'node_modules');
const puppeteer = require(path.join(modules, 'puppeteer-core'));

const [pageFile, hostileFile, shots] = process.argv.slice(2);
const BROWSER = process.env.CHROMIUM || '/usr/bin/chromium';
const tests = [];

function test(name, body) {
	tests.push({ name, body });
}

/** The records in a page, as it has them. */
function recordsOf(page) {
	return page.evaluate(
		() => JSON.parse(document.getElementById('records').textContent).records,
	);
}

/** Resolves when the rows that are drawn are those at this place. */
async function scrollTo(page, top) {
	await page.evaluate(
		(y) =>
			new Promise((done) => {
				document.getElementById('sequence').scrollTop = y;
				requestAnimationFrame(() => requestAnimationFrame(done));
			}),
		top,
	);
}

/** Numbers of all rows with something of this selector, found by scrolling through. */
async function rowsWith(page, selector) {
	const found = new Set();
	const { height, step } = await page.evaluate(() => {
		const list = document.getElementById('sequence');
		return { height: list.scrollHeight, step: list.clientHeight };
	});
	for (let top = 0; top < height; top += step) {
		await scrollTo(page, top);
		const seen = await page.$$eval(`.row ${selector}`, (nodes) =>
			nodes.map((node) => Number(node.closest('.row').dataset.n)),
		);
		seen.forEach((n) => found.add(n));
	}
	return [...found].sort((a, b) => a - b);
}

/** Clicks the row of a record. */
async function choose(page, records, record) {
	const rowHeight = await page.$eval('.row', (row) => row.offsetHeight);
	await scrollTo(
		page,
		Math.max(0, records.findIndex((r) => r.n === record.n) - 3) * rowHeight,
	);
	await page.click(`.row[data-n="${record.n}"] .time`);
}

function chosen(page) {
	return page.$eval('.row[aria-selected="true"]', (row) => Number(row.dataset.n));
}

function shot(page, name) {
	return page.screenshot({ path: path.join(shots, name) });
}

test('every message is an arrow, and nothing else is', async ({ page, records }) => {
	const messages = records
		.filter((r) => r.kind === 'message' || r.kind === 'raw')
		.map((r) => r.n);
	assert.ok(messages.length > 0);
	assert.deepStrictEqual(await rowsWith(page, '.arrow'), messages);
});

test('arrows go as the bytes went, replies dashed', async ({ page, records }) => {
	const to = (dir) =>
		records.filter((r) => r.kind === 'message' && r.dir === dir).map((r) => r.n);
	assert.deepStrictEqual(await rowsWith(page, '.arrow.to-back-end'), to('to-back-end'));
	assert.deepStrictEqual(await rowsWith(page, '.arrow.to-front-end'), to('to-front-end'));
	assert.deepStrictEqual(
		await rowsWith(page, '.arrow.reply'),
		records.filter((r) => r.reply).map((r) => r.n),
	);
});

test('a message with descriptors has badges', async ({ page, records }) => {
	const some = records
		.filter((r) => r.kind === 'message' && r.fds && r.fds.length)
		.map((r) => r.n);
	assert.ok(some.length > 0);
	assert.deepStrictEqual(await rowsWith(page, '.badge'), some);
});

test('a broken rule is named by its clauses', async ({ page, records }) => {
	const broken = records.filter((r) => r.rule || r.failed).map((r) => r.n);
	assert.deepStrictEqual(await rowsWith(page, '.clause'), broken);
});

test('a click shows all bytes, and the fields colour each once', async ({ page, records }) => {
	for (const record of records.filter((r) => r.kind === 'message')) {
		await choose(page, records, record);
		const bytes = await page.$$eval('#bytes .byte', (nodes) =>
			nodes.map((node) => [
				Number(node.dataset.at),
				Number(node.dataset.field),
				node.textContent,
			]),
		);
		assert.strictEqual(
			bytes.map(([, , text]) => text).join(''),
			record.bytes,
			`#${record.n}`,
		);
		bytes.forEach(([at, field], i) => {
			const f = record.fields[field];
			assert.strictEqual(at, i);
			assert.ok(f && f.at <= at && at < f.at + f.len, `#${record.n}: byte ${at}`);
		});
		const rows = await page.$$eval('#bytes .legend tbody > tr', (all) => all.length);
		assert.strictEqual(rows, record.fields.length);
	}
});

test('a field that is pointed at lights its bytes', async ({ page, records }) => {
	const record = records.find((r) => r.kind === 'message' && r.fields.length > 3);
	await choose(page, records, record);
	await page.hover('#bytes .legend tr[data-field="3"]');
	const lit = await page.$$eval('#bytes .byte.hot', (nodes) =>
		nodes.map((n) => Number(n.dataset.at)),
	);
	const field = record.fields[3];
	assert.deepStrictEqual(
		lit,
		Array.from({ length: field.len }, (_, i) => field.at + i),
	);
	await shot(page, 'message.png');
});

test('features say what was offered and accepted', async ({ page, records }) => {
	const record = records.find((r) => r.name === 'SET_FEATURES' && !r.reply);
	const bits = record.fields.find((f) => f.bits && f.part === 'payload').bits;
	await choose(page, records, record);
	const chips = await page.$$eval('#bytes .legend tr:last-child .bit', (all) =>
		all.map((c) => c.textContent),
	);
	assert.strictEqual(chips.length, bits.length);
	bits.forEach((bit, i) => assert.ok(chips[i].startsWith(String(bit.bit)), chips[i]));
});

test('the map has each region in three spaces', async ({ page, records }) => {
	const record = records.find((r) => r.memory && r.memory.length);
	await choose(page, records, record);
	await page.keyboard.press('2');
	const n = await page.$$eval(
		'#memory .region rect',
		(all) => all.filter((r) => r.getBBox().height > 0).length,
	);
	assert.strictEqual(n, 3 * record.memory.length);
	const ringRecord = records.filter((r) => r.ring && r.ring.areas).pop();
	await choose(page, records, ringRecord);
	assert.ok((await page.$$eval('#memory .ringmark', (all) => all.length)) > 0);
	await shot(page, 'memory.png');
	await page.keyboard.press('1');
});

test('before memory was given the map says so', async ({ page, records }) => {
	await choose(
		page,
		records,
		records.find((r) => r.kind === 'message'),
	);
	await page.keyboard.press('2');
	assert.match(await page.$eval('#memory', (node) => node.textContent), /Nothing is mapped/);
	await page.keyboard.press('1');
});

/** Pictures of the ring that has most of them. */
function mostPictures(records) {
	const pictures = records.filter((r) => r.kind === 'ring');
	const many = (ring) => pictures.filter((r) => r.ring === ring);
	return pictures.map((r) => many(r.ring)).sort((a, b) => b.length - a.length)[0] || [];
}

test('the slider of a ring changes the picture', async ({ page, records }) => {
	const pictures = mostPictures(records);
	assert.ok(pictures.length > 1);
	await choose(page, records, pictures[0]);
	const seen = new Set();
	await page.focus('#ring input[type="range"]');
	for (const picture of pictures) {
		assert.strictEqual(await chosen(page), picture.n);
		const text = await page.$eval('#ring', (node) => node.textContent);
		assert.ok(text.includes(`index ${picture.picture.avail_idx}`), text);
		assert.strictEqual(
			await page.$$eval('#ring .chain', (all) => all.length),
			picture.picture.chains.length,
		);
		seen.add(text);
		await page.keyboard.press('ArrowRight');
	}
	assert.strictEqual(seen.size, pictures.length);
	await page.keyboard.press('Home');
	assert.strictEqual(await chosen(page), pictures[0].n);
});

test('slots that wait for the device are as many as are offered', async ({ page, records }) => {
	const picture = mostPictures(records).find((r) => r.picture.offered > 0);
	assert.ok(picture);
	await choose(page, records, picture);
	assert.strictEqual(
		await page.$$eval('#ring .circle .slot.of-device', (all) => all.length),
		picture.picture.offered,
	);
	await shot(page, 'ring.png');
});

test('play goes on by itself, to the end', async ({ page, records }) => {
	const pictures = mostPictures(records);
	const from = Math.max(0, pictures.length - 3);
	await choose(page, records, pictures[from]);
	await page.select('#ring .controls select', '250');
	await page.click('#ring .play');
	await page.waitForFunction(
		(n) => document.querySelector(`.row[data-n="${n}"][aria-selected="true"]`),
		{ timeout: 10000 },
		pictures[pictures.length - 1].n,
	);
	await page.waitForFunction(
		() =>
			document.querySelector('#ring .play').getAttribute('aria-pressed') ===
			'false',
		{ timeout: 10000 },
	);
});

test('keys move, change tabs and reach the filter', async ({ page, records }) => {
	await page.focus('#sequence');
	await page.keyboard.press('Home');
	assert.strictEqual(await chosen(page), records[0].n);
	await page.keyboard.press('ArrowDown');
	assert.strictEqual(await chosen(page), records[1].n);
	await page.keyboard.press('End');
	assert.strictEqual(await chosen(page), records[records.length - 1].n);
	await page.keyboard.press('4');
	assert.ok(await page.$eval('#summary', (node) => !node.hidden));
	await page.keyboard.press('/');
	assert.strictEqual(await page.evaluate(() => document.activeElement.id), 'filter-text');
});

test('filters leave what they name', async ({ page, records }) => {
	await page.type('#filter-text', 'get_features');
	const names = records.filter((r) =>
		`${r.name || ''} ${r.line}`.toLowerCase().includes('get_features'),
	);
	assert.deepStrictEqual(
		await rowsWith(page, '.time'),
		names.map((r) => r.n),
	);
	await page.$eval('#filter-text', (node) => {
		node.value = '';
		node.dispatchEvent(new Event('input', { bubbles: true }));
	});
	await page.select('#filter-from', 'to-front-end');
	assert.deepStrictEqual(
		await rowsWith(page, '.time'),
		records
			.filter(
				(r) =>
					(r.kind === 'message' || r.kind === 'raw') &&
					r.dir === 'to-front-end',
			)
			.map((r) => r.n),
	);
	await page.select('#filter-from', '');
	assert.strictEqual((await rowsWith(page, '.time')).length, records.length);
});

test('the summary names rings and features', async ({ page, records }) => {
	const first = records.find((r) => r.kind === 'message');
	await choose(page, records, first);
	await page.keyboard.press('4');
	const text = await page.$eval('#summary', (node) => node.textContent);
	assert.match(text, /Protocol features/);
	assert.match(text, /VERSION_1/);
	const { rings } = records.find((r) => r.open === false);
	const cells = await page.$$eval('#summary tr', (rows) =>
		rows.map((row) => [...row.children].map((cell) => cell.textContent)),
	);
	for (const ring of rings.filter((r) => r.offered !== undefined)) {
		const row = cells.find((c) => c[0] === String(ring.ring) && c.length > 5);
		assert.deepStrictEqual(row.slice(3, 5), [`${ring.kicks}`, `${ring.calls}`]);
		assert.ok(row[5].startsWith(`${ring.returned} of ${ring.offered}`), row[5]);
	}
	await shot(page, 'summary.png');
	await page.keyboard.press('1');
});

test('it is readable in the dark and on a small screen', async ({ page, records }) => {
	await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
	await choose(page, records, mostPictures(records)[0]);
	await shot(page, 'dark.png');
	assert.notStrictEqual(
		await page.evaluate(() => getComputedStyle(document.body).backgroundColor),
		'rgb(255, 255, 255)',
	);
	await page.setViewport({ width: 1024, height: 768 });
	const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
	assert.ok(!wide, 'the page is wider than the screen');
	await shot(page, 'small.png');
});

test('names with markup are text', async ({ hostile }) => {
	await hostile.bringToFront();
	const records = await recordsOf(hostile);
	assert.ok(JSON.stringify(records).includes('<img'), 'the page is not hostile');
	for (const record of records) {
		await choose(hostile, records, record);
		for (const tab of ['2', '3', '4', '1']) await hostile.keyboard.press(tab);
	}
	assert.strictEqual(await hostile.evaluate(() => window.pwned), undefined);
	assert.strictEqual(await hostile.$$eval('img, iframe, object', (all) => all.length), 0);
	assert.strictEqual(await hostile.$$eval('script', (all) => all.length), 2);
});

test('markup in the file itself is inert', async () => {
	const text = fs.readFileSync(hostileFile, 'utf8');
	const data = text.slice(text.indexOf('id="records">'));
	assert.ok(!data.slice(0, data.indexOf('</script>')).includes('<'));
});

test('nothing was asked of a network, and nothing was wrong', async ({ complaints, requests }) => {
	assert.deepStrictEqual(complaints, []);
	assert.deepStrictEqual(
		requests.filter((url) => !url.startsWith('file:')),
		[],
	);
	assert.strictEqual(requests.length, 2);
});

// The last: the browser complains of what it refuses.
test('a script that came in some other way would not run', async ({ page }) => {
	await page.bringToFront();
	const ran = await page.evaluate(
		() =>
			new Promise((done) => {
				const script = document.createElement('script');
				script.append('window.pwned = 3');
				try {
					document.body.append(script);
				} catch (refused) {
					// The other way to refuse it.
				}
				requestAnimationFrame(() => done(window.pwned));
			}),
	);
	assert.strictEqual(ran, undefined);
	assert.ok(
		await page.evaluate(() => {
			try {
				document.body.innerHTML = '<b>markup</b>';
				return false;
			} catch (refused) {
				return true;
			}
		}),
		'markup can be made of text',
	);
});

async function open(browser, file, seen) {
	const page = await browser.newPage();
	await page.setViewport({ width: 1600, height: 950 });
	page.on('console', (message) => seen.complaints.push(message.text()));
	page.on('pageerror', (error) => seen.complaints.push(error.message));
	page.on('request', (request) => seen.requests.push(request.url()));
	await page.goto(pathToFileURL(path.resolve(file)).href);
	return page;
}

async function run(given) {
	let failed = 0;
	console.log(`1..${tests.length}`);
	for (const [i, { name, body }] of tests.entries()) {
		try {
			await body(given);
			console.log(`ok ${i + 1} - ${name}`);
		} catch (error) {
			failed++;
			console.log(`not ok ${i + 1} - ${name}`);
			console.log(error.stack.replace(/^/gm, '# '));
		}
	}
	return failed;
}

async function main() {
	const browser = await puppeteer.launch({
		executablePath: BROWSER,
		headless: true,
		protocolTimeout: 30000,
		args: ['--no-sandbox', '--disable-background-networking'],
	});
	try {
		const given = { complaints: [], requests: [] };
		given.hostile = await open(browser, hostileFile, given);
		given.page = await open(browser, pageFile, given);
		given.records = await recordsOf(given.page);
		return await run(given);
	} finally {
		await browser.close();
	}
}

main().then(
	(failed) => {
		process.exitCode = failed ? 1 : 0;
	},
	(error) => {
		console.log(`Bail out! ${error.message}`);
		process.exitCode = 1;
	},
);
