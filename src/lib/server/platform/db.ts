import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';

/** Raw statements: for the paths where every microsecond counts, and for LISTEN. */
export type Sql = postgres.Sql<{ bigint: number }>;

const orm = (sql: Sql) => drizzle(sql);

/** Reads outside a transaction. */
export type Reader = ReturnType<typeof orm>;
/** Reads and writes inside one: the type says that a function changes something. */
export type Transaction = Parameters<Parameters<Reader['transaction']>[0]>[0];

export interface Database {
	sql: Sql;
	orm: Reader;
	close(): Promise<void>;
}

/**
 * Opens a pool of at most `connections`. Times come back as strings (Drizzle's parsers are set on
 * the client), so statements ask for milliseconds.
 */
export function openDatabase(url: string, connections: number): Database {
	const sql = postgres(url, {
		max: connections,
		idle_timeout: 60,
		connect_timeout: 10,
		onnotice: () => {},
		connection: { application_name: 'tertulia' },
		// Versions and places fit a double for the next nine thousand trillion changes.
		types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } }
	});
	return { sql, orm: orm(sql), close: () => sql.end({ timeout: 5 }) };
}

/** Whether it is the rows that Postgres refuses, and not Postgres that is out of reach. */
export function isAboutRows(error: unknown): boolean {
	// Classes 22 (data exception), 23 (integrity constraint) and 40 (rolled back: deadlock).
	return error instanceof postgres.PostgresError && /^(22|23|40)/.test(error.code);
}

/** Whether Postgres would refuse these rows again, however often they came. */
export function isRefused(error: unknown): boolean {
	return error instanceof postgres.PostgresError && /^(22|23)/.test(error.code);
}

/** Whether Postgres cannot be asked just now: it is away, starts, stops, or takes in nobody more. */
export function isOutOfReach(error: unknown): boolean {
	const cause = causeOf(error);
	if (!(cause instanceof Error && 'code' in cause && typeof cause.code === 'string')) return false;
	// Class 08 (connection exception), 53300 (too many connections), 57P01 to 57P03 (it is shut down,
	// has crashed, is starting).
	if (cause instanceof postgres.PostgresError) return /^(08|53300|57P0[123])/.test(cause.code);
	// By the driver (CONNECTION_CLOSED and the like), and by the system, for whose lookups and
	// connections the code may be any.
	const isOfSocket =
		'syscall' in cause && ['connect', 'getaddrinfo'].includes(String(cause.syscall));
	return isOfSocket || /^(CONNECT|ECONN|EPIPE|ETIMEDOUT)/.test(cause.code);
}

/** Drizzle puts an error of its own around what the driver says. */
const causeOf = (error: unknown): unknown =>
	error instanceof Error && error.cause !== undefined ? error.cause : error;

/** Postgres' code for a broken unique constraint. */
const UNIQUE_VIOLATION = '23505';

/** The name of the unique constraint that an error is about, or undefined. */
export function brokenUniqueKey(error: unknown): string | undefined {
	const cause = causeOf(error);
	if (cause instanceof postgres.PostgresError && cause.code === UNIQUE_VIOLATION) {
		return cause.constraint_name;
	}
	return undefined;
}
