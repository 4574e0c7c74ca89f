// What must compile, and what must not. Checked by tsc; never run.

import {
	decide,
	flush,
	init,
	type Options,
	observe,
	type PlacementAnswer,
	recommend,
	render,
	setConsent,
	track,
} from '../src/index.js';
import { snippet } from '../src/snippet.js';

const element = document.createElement('div');

export async function compiles(): Promise<PlacementAnswer> {
	init({ key: 'pk_1' });
	init({
		key: 'pk_1',
		endpoint: 'https://r.example',
		consent: { analytics_storage: 'granted' },
		onDropped: (reason) => reason === 'consent',
	});
	track('page_view');
	track('view_cart', { currency: 'GBP' });
	track('view_item', { items: [{ item_id: '1', price: 1.95 }], currency: 'GBP' });
	track('purchase', { transaction_id: '1', items: [{ item_id: '1' }], value: 2, coupon: 'X' });
	track('size_guide_opened');
	track('size_guide_opened', { size: 'M' });
	setConsent({ analytics: true, personalization: 'denied', ad_storage: 'granted', at: new Date() });
	const { placements } = await decide({
		placements: [{ id: 'home-hero' }],
		events: [{ type: 'search', search_term: 'bag' }],
	});
	const banner: unknown = placements['home-hero']?.creative?.id;
	const { items } = await recommend('also-bought', { item_id: '1', count: 4 });
	const id: string | undefined = items[0]?.item_id;
	const stop: () => void = observe(await recommend('trending'), element);
	stop();
	await flush();
	const source: string = snippet({ src: 'https://r.example/rapport.js', key: 'pk_1', debug: true });
	await render('trending', element, () => document.createElement('a'), { count: 4, context: { page_type: 'home' } });
	return render('trending', element, (item, index) =>
		Object.assign(document.createElement('a'), { title: `${item.item_id}${index}${id}${banner}${source}` }),
	);
}

export function doesNotCompile(): void {
	// @ts-expect-error a key is needed
	init({ endpoint: 'https://r.example' });
	// @ts-expect-error there is no such option
	init({ key: 'pk_1', flushIntervall: 1 });
	// @ts-expect-error a product view is of a product
	track('view_item');
	// @ts-expect-error an item has an id
	track('view_item', { items: [{ item_name: 'Bag' }] });
	// @ts-expect-error a price is a number
	track('add_to_cart', { items: [{ item_id: '1', price: '1.95' }] });
	// @ts-expect-error an order has an id
	track('purchase', { items: [{ item_id: '1' }] });
	// @ts-expect-error a search is for something
	track('search', {});
	// @ts-expect-error Consent Mode has two words
	setConsent({ analytics_storage: 'yes' });
	// @ts-expect-error placements are named by id
	void decide({ placements: ['home-hero'] });
	// @ts-expect-error an element is shown, not text
	void render('trending', element, (item) => item.item_id);
	// @ts-expect-error a function cannot be written into a page
	snippet({ src: '', key: 'pk_1', onDropped: () => {} });
	// @ts-expect-error reasons are a closed list
	const options: Options = { key: 'pk_1', onDropped: (reason) => reason === 'weather' };
	void options;
}
