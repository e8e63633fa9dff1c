import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Few } from './few.ts';

test('holds what a set would hold', () => {
	const elements = Array.from({ length: 4 }, (_, n) => ({ n }));
	const step = fc.record({ adds: fc.boolean(), at: fc.nat(elements.length - 1) });
	fc.assert(
		fc.property(fc.array(step), (steps) => {
			const [few, set] = [new Few<object>(), new Set<object>()];
			for (const { adds, at } of steps) {
				const element = elements[at]!;
				few[adds ? 'add' : 'delete'](element);
				set[adds ? 'add' : 'delete'](element);
				const visited: object[] = [];
				few.forEach((one) => visited.push(one));
				expect([...few]).toEqual([...set]);
				expect(visited).toEqual([...set]);
				expect(few.size).toBe(set.size);
				for (const one of elements) expect(few.has(one)).toBe(set.has(one));
			}
		})
	);
});
