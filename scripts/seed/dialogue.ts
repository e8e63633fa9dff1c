import { BOOKS, CITIES, PRINTERS, QUOTES, SHOPS, type Hand, type Language } from './company.ts';
import { Bag, type Random } from './random.ts';

/** What stands for `{book}` and the like in one scene. */
export type Values = Record<string, string>;

/** Finds the words of one conversation: titles, places and numbers come round evenly. */
export class Wording {
	readonly #random: Random;
	readonly #language: Language;
	readonly #books: Bag<(typeof BOOKS)[number]>;
	readonly #cities: Bag<string>;
	readonly #shops: Bag<string>;
	readonly #printers: Bag<string>;
	readonly #quotes: Bag<string>;
	/** Phrase → its bag of alternatives. */
	readonly #alternatives = new Map<string, Bag<string>>();

	constructor(random: Random, language: Language) {
		this.#random = random;
		this.#language = language;
		this.#books = new Bag(random, BOOKS);
		this.#cities = new Bag(random, CITIES[language]);
		this.#shops = new Bag(random, SHOPS);
		this.#printers = new Bag(random, PRINTERS);
		this.#quotes = new Bag(random, QUOTES);
	}

	/** The same throughout a scene, which begins at `time`. */
	values(time: number): Values {
		const random = this.#random;
		const [book, other] = [this.#books.draw(), this.#books.draw()];
		const n = random.whole(2, 6);
		return {
			book: book.title,
			author: book.author,
			book2: other.title,
			slug: slugOf(book.title),
			city: this.#cities.draw(),
			city2: this.#cities.draw(),
			shop: this.#shops.draw(),
			printer: this.#printers.draw(),
			quote: this.#quotes.draw(),
			day: this.#weekdayAfter(time),
			n: String(n),
			n2: String(n + random.whole(1, 3)),
			pages: String(random.whole(48, 312)),
			run: this.#thousands(random.whole(3, 10) * 500),
			euros: this.#thousands(random.whole(8, 60) * 250)
		};
	}

	/** A line of the texts as somebody says it. */
	say(text: string, values: Values): string {
		return text
			.replace(/<([^<>|]*\|[^<>]*)>/g, (phrase) => this.#alternative(phrase))
			.replace(/\{(\w+)\}/g, (slot, name: string) => values[name] ?? slot);
	}

	#alternative(phrase: string): string {
		let bag = this.#alternatives.get(phrase);
		if (!bag) {
			bag = new Bag(this.#random, phrase.slice(1, -1).split('|'));
			this.#alternatives.set(phrase, bag);
		}
		return bag.draw();
	}

	/** One of the next few working days, by name. */
	#weekdayAfter(time: number): string {
		const day = new Date(time);
		day.setDate(day.getDate() + this.#random.whole(1, 5));
		while (day.getDay() % 6 === 0) day.setDate(day.getDate() + 1);
		return new Intl.DateTimeFormat(this.#language, { weekday: 'long' }).format(day);
	}

	#thousands(count: number): string {
		const separator = this.#language === 'es' ? '.' : ',';
		return String(count).replace(/\B(?=(\d{3})+$)/, separator);
	}
}

/** Words that are not a person's own, as that person would type them. */
export function inHand(text: string, hand: Hand): string {
	if (hand === 'loose') {
		const keepsCapital = /^(I\b|\p{Lu}{2})/u.test(text);
		const begun = keepsCapital ? text : text.slice(0, 1).toLowerCase() + text.slice(1);
		return begun.replace(/(?<=[^.])\.$/, '');
	}
	const begun = text.replace(/^([¿¡"]*)(\p{Ll})/u, (_, marks: string, letter: string) =>
		text.startsWith('http') ? text.slice(0, 1) : marks + letter.toUpperCase()
	);
	const isSentence = /\s\S+\s/.test(text) && /\p{L}$/u.test(text) && !/https?:\S+$/.test(text);
	return hand === 'careful' && isSentence ? `${begun}.` : begun;
}

const slugOf = (title: string) =>
	title
		.normalize('NFKD')
		.toLowerCase()
		.replace(/[^a-z ]/g, '')
		.replaceAll(' ', '-');
