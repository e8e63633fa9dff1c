import type { Env } from '#env';
import type { Database } from './platform/db.ts';
import type { Limiter } from './platform/limits.ts';
import type { Log } from './platform/log.ts';
import type { Metrics } from './platform/metrics.ts';
import type { Realtime } from './realtime/realtime.ts';
import type { Presence } from './presence/presence.ts';
import type { Receipts } from './receipts/receipts.ts';
import type { MessageWriter } from './messages/messages.ts';

/** What every feature is given: the edges of the system, made once per process. */
export interface Services {
	env: Env;
	db: Database;
	log: Log;
	metrics: Metrics;
	limits: Limiter;
	realtime: Realtime;
	writer: MessageWriter;
	presence: Presence;
	receipts: Receipts;
}
