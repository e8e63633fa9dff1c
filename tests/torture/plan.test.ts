import { expect, test } from 'vitest';
import { FAULTS, planFaults } from './plan.ts';

test('the same seed makes the same plan of faults, another one another', () => {
	expect(planFaults('7', 60_000)).toEqual(planFaults('7', 60_000));
	expect(planFaults('7', 60_000)).not.toEqual(planFaults('8', 60_000));
});

test('a short run leaves no kind of fault out', () => {
	for (let seed = 0; seed < 50; seed++) {
		const kinds = new Set(planFaults(String(seed), 75_000).map(({ kind }) => kind));
		expect([...kinds].toSorted()).toEqual([...FAULTS].toSorted());
	}
});
