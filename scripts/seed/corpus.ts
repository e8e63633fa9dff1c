/**
 * Reads the texts. They are lines of dialogue under headings:
 *
 *   ### editorial        a conversation of `company.ts` (a language, in `small-talk.txt`)
 *   == once              a scene that happens once; these keep their order
 *   == often 12-14       one that comes back, between noon and two; hours can be given to all
 *   == last              the one that ends the conversation, shortly before now
 *   ines: Good <day|morning>, {author}.
 *   ⇥a second line of the same message
 *   ?noor: 👏             said about half the time
 *   ~                    some time passes
 *   * ines added xochitl, bjorn
 *   * noor renamed A new name
 *   * tomas left
 *
 * `<a|b>` is one of the two, `{book}` and the like are filled in (`dialogue.ts`).
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

export type Line =
	| { kind: 'says'; who: string; text: string; maybe: boolean }
	| { kind: 'pause' }
	| { kind: 'does'; who: string; what: 'added' | 'renamed' | 'left'; to: string };

export interface Scene {
	when: 'once' | 'often' | 'last';
	/** Hours of the day between which it begins. */
	hours: { from: number; to: number } | null;
	lines: Line[];
}

/** Heading → scenes. */
export type Corpus = Map<string, Scene[]>;

export function readCorpus(...files: string[]): Corpus {
	const corpus: Corpus = new Map();
	for (const file of files) {
		parse(readFileSync(path.join(import.meta.dirname, file), 'utf8'), file, corpus);
	}
	return corpus;
}

function parse(text: string, file: string, corpus: Corpus): void {
	let scenes: Scene[] | undefined;
	let lines: Line[] | undefined;
	for (const [index, line] of text.split('\n').entries()) {
		const last = lines?.at(-1);
		if (line.startsWith('### ')) {
			scenes = [];
			corpus.set(line.slice(4).trim(), scenes);
		} else if (line.startsWith('==')) {
			lines = [];
			scenes?.push({ ...readSceneHead(line), lines });
		} else if (line.startsWith('\t') && last?.kind === 'says') {
			last.text += `\n${line.trim()}`;
		} else if (lines && line.trim() !== '') {
			lines.push(readLine(line, `${file}:${index + 1}`));
		} else if (line.trim() !== '' && !line.startsWith('# ')) {
			throw new Error(`${file}:${index + 1} stands under no heading.`);
		}
	}
}

function readSceneHead(line: string): Omit<Scene, 'lines'> {
	const [, when = 'often', from, to] =
		/^== ?(once|often|last)? ?(?:(\d+)-(\d+))?$/.exec(line) ?? [];
	return {
		when: when as Scene['when'],
		hours: from && to ? { from: Number(from), to: Number(to) } : null
	};
}

function readLine(line: string, place: string): Line {
	if (line === '~') return { kind: 'pause' };
	const deed = /^\* (\w+) (added|renamed|left) ?(.*)$/.exec(line);
	if (deed) {
		const [, who = '', what, to = ''] = deed;
		return { kind: 'does', who, what: what as 'added' | 'renamed' | 'left', to };
	}
	const said = /^(\??)(\w+): (.+)$/.exec(line);
	if (!said) throw new Error(`${place} is not a line of dialogue: ${line}`);
	const [, maybe, who = '', text = ''] = said;
	return { kind: 'says', who, text, maybe: maybe !== '' };
}
