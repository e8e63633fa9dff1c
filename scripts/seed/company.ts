/** Casa Marea, a small publisher that does not exist: its people, what they call things, and where
 * they talk. What they say is in the `.txt` files beside this one. */

/** How somebody types, where the words are not their own (`small-talk.txt`). */
export type Hand = 'careful' | 'plain' | 'loose';

export const PEOPLE = {
	tomas: { name: 'Tomás Abascal', hand: 'careful' },
	ines: { name: 'Inés Calderón', hand: 'careful' },
	siobhan: { name: 'Siobhán Byrne', hand: 'plain' },
	amara: { name: 'Amara Okonkwo', hand: 'careful' },
	jurgen: { name: 'Jürgen Weiß', hand: 'careful' },
	noor: { name: 'Noor Haddad', hand: 'loose' },
	mateus: { name: 'Mateus Simões', hand: 'loose' },
	yuki: { name: 'Yūki Tanabe', hand: 'plain' },
	lucja: { name: 'Łucja Wiśniewska', hand: 'plain' },
	priya: { name: 'Priya Raghunathan', hand: 'careful' },
	bjorn: { name: 'Björn Åkesson', hand: 'loose' },
	xochitl: { name: 'Xóchitl Méndez', hand: 'loose' }
} as const satisfies Record<string, { name: string; hand: Hand }>;

export type Username = keyof typeof PEOPLE;
export type Language = 'en' | 'es';

export interface Plan {
	/** Its heading in the texts. */
	key: string;
	/** Null for a conversation of two. */
	name: string | null;
	language: Language;
	/** Who is there from the start; the first one has made it. */
	members: readonly Username[];
	/** Days ago that it began. */
	began: number;
	/** Working minutes ago that the last message was written. */
	ended: number;
	/** How often each of the scenes that come back does. */
	returns: number;
	/** Exchanges of small talk in between. */
	smallTalk: number;
	/** People write here in the evening and at the weekend too. */
	social?: boolean;
}

const EVERYBODY = Object.keys(PEOPLE) as Username[];

export const CONVERSATIONS: readonly Plan[] = [
	group('everyone', 'Casa Marea', 'en', {
		members: EVERYBODY.filter((username) => username !== 'xochitl'),
		began: 196,
		ended: 34,
		returns: 7,
		smallTalk: 40
	}),
	group('editorial', 'Editorial', 'en', {
		members: ['ines', 'siobhan', 'xochitl', 'lucja', 'tomas', 'amara'],
		began: 146,
		ended: 3,
		returns: 8,
		smallTalk: 34
	}),
	group('production', 'Diseño y producción', 'es', {
		members: ['noor', 'yuki', 'jurgen', 'ines', 'xochitl', 'bjorn'],
		began: 145,
		ended: 9,
		returns: 9,
		smallTalk: 26
	}),
	group('fair', 'Fair & rights', 'en', {
		members: ['amara', 'tomas', 'ines', 'mateus', 'priya', 'lucja'],
		began: 158,
		ended: 410,
		returns: 8,
		smallTalk: 16
	}),
	group('press', 'Prensa y redes', 'es', {
		members: ['mateus', 'xochitl', 'ines', 'noor', 'tomas'],
		began: 143,
		ended: 21,
		returns: 9,
		smallTalk: 26
	}),
	group('warehouse', 'Orders & shipping', 'en', {
		members: ['bjorn', 'jurgen', 'priya', 'mateus', 'amara'],
		began: 161,
		ended: 75,
		returns: 10,
		smallTalk: 18
	}),
	group('lunch', 'Comida', 'es', {
		members: ['yuki', 'ines', 'tomas', 'noor', 'mateus', 'xochitl', 'priya', 'bjorn'],
		began: 144,
		ended: 52,
		returns: 14,
		smallTalk: 26,
		social: true
	}),
	group('bookclub', 'Book club 📚', 'en', {
		members: ['siobhan', 'yuki', 'lucja', 'amara', 'noor', 'tomas'],
		began: 150,
		ended: 640,
		returns: 6,
		smallTalk: 12,
		social: true
	}),
	direct('ines+siobhan', 'en', { began: 168, ended: 14, returns: 9, smallTalk: 22 }),
	direct('ines+tomas', 'es', { began: 175, ended: 6, returns: 9, smallTalk: 20 }),
	direct('noor+yuki', 'en', { began: 166, ended: 27, returns: 10, smallTalk: 24 }),
	direct('mateus+xochitl', 'es', { began: 140, ended: 40, returns: 10, smallTalk: 18 }),
	direct('amara+lucja', 'en', { began: 158, ended: 96, returns: 7, smallTalk: 14 }),
	direct('jurgen+bjorn', 'en', { began: 164, ended: 130, returns: 11, smallTalk: 14 }),
	direct('priya+tomas', 'en', { began: 151, ended: 290, returns: 10, smallTalk: 9 }),
	direct('xochitl+ines', 'es', { began: 138, ended: 1300, returns: 7, smallTalk: 10 }),
	direct('mateus+noor', 'en', { began: 147, ended: 118, returns: 10, smallTalk: 10 }),
	direct('lucja+siobhan', 'en', { began: 146, ended: 62, returns: 10, smallTalk: 12 }),
	direct('tomas+amara', 'en', { began: 139, ended: 2100, returns: 7, smallTalk: 8 }),
	direct('yuki+jurgen', 'en', { began: 131, ended: 820, returns: 8, smallTalk: 7 }),
	direct('tomas+mateus', 'es', { began: 122, ended: 240, returns: 6, smallTalk: 8 }),
	direct('priya+siobhan', 'en', { began: 118, ended: 160, returns: 6, smallTalk: 7 })
];

function group(key: string, name: string, language: Language, rest: Rest & Pick<Plan, 'members'>) {
	return { key, name, language, ...rest };
}

function direct(key: string, language: Language, rest: Rest): Plan {
	return { key, name: null, language, members: key.split('+') as Username[], ...rest };
}

type Rest = Omit<Plan, 'key' | 'name' | 'language' | 'members'>;

export const BOOKS: readonly { title: string; author: string }[] = [
	{ title: 'Salt Roads', author: 'Ngozi' },
	{ title: 'La casa de los relojes', author: 'Martín' },
	{ title: 'A Field Guide to Fog', author: 'Elspeth' },
	{ title: 'Cuaderno del Orinoco', author: 'Valeria' },
	{ title: 'The Lighthouse Accounts', author: 'Daniel' },
	{ title: 'Mareas', author: 'Clara' },
	{ title: 'Night Bus to Gdańsk', author: 'Paweł' },
	{ title: 'Las hormigas de agosto', author: 'Renata' },
	{ title: 'Small Engines', author: 'Hana' },
	{ title: 'El sastre de Tánger', author: 'Youssef' },
	{ title: 'What the Orchard Knew', author: 'Margaret' },
	{ title: 'Atlas de ausencias', author: 'Julián' },
	{ title: 'The Winter Ferry', author: 'Ailsa' },
	{ title: 'Los nombres del agua', author: 'Itziar' }
];

export const CITIES: Record<Language, readonly string[]> = {
	en: ['Lisbon', 'Oslo', 'Dublin', 'Kraków', 'Berlin', 'Bologna', 'Lyon', 'Bogotá', 'Athens'],
	es: ['Lisboa', 'Bilbao', 'Sevilla', 'Oaxaca', 'Berlín', 'Bolonia', 'Valencia', 'Bogotá', 'Vigo']
};

export const SHOPS = ['La Boya', 'The Crooked Shelf', 'Café y Tinta', 'Bruma', 'Marrowbone Books'];

export const PRINTERS = ['Gráficas Solana', 'Druckhaus Lindner', 'Imprenta Mirto'];

export const QUOTES = [
	'Nadie vuelve del todo de una isla.',
	'Mi madre contaba los barcos como otros rezan.',
	'Aquel agosto aprendimos a callar en dos idiomas.',
	'El mapa estaba bien; éramos nosotros los equivocados.',
	'Una casa es una frase que se termina entre varios.',
	'Llovía como si alguien buscara algo.',
	'Guardó la carta en el único sitio donde la buscarían.',
	'El mar no devuelve nada: lo deja todo a medias.'
];
