/**
 * The peer: a chat on Socket.IO and Postgres, as Socket.IO's own tutorial writes it (steps 7 to 9 of
 * https://socket.io/docs/v4/tutorial): insert, then broadcast, then acknowledge; a second insert of
 * the same client's id is the same message; several processes meet in Redis. Unlike this app it asks
 * for no session, checks no membership, numbers nothing and counts no limits.
 *
 * BATCHED=1 gives it the batching of this app's writer: inserts that arrive while one is under way go
 * together in the next.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { Server } from 'socket.io';

interface Sent {
	id: string;
	body: string;
}

interface Row extends Sent {
	room: string;
	place: string;
}

const { DATABASE_URL = '', REDIS_URL, BATCHED } = process.env;
const BATCH_MAX = 500;

const sql = postgres(DATABASE_URL, { max: 10, onnotice: () => {} });
await sql`
	create table if not exists peer_message (
		place bigserial primary key,
		id uuid not null unique,
		room text not null,
		body text not null,
		sent_at timestamptz not null default now()
	)`;

const server = createServer();
const io = new Server(server, { perMessageDeflate: false });
if (REDIS_URL) {
	const publishing = new Redis(REDIS_URL);
	io.adapter(createAdapter(publishing, publishing.duplicate()));
}

const insert = BATCHED === '1' ? insertTogether() : insertAlone;

io.on('connection', (socket) => {
	const room = String(socket.handshake.query.room);
	void socket.join(room);
	socket.on('message', async ({ id, body }: Sent, acknowledge: () => void) => {
		const place = await insert({ id, room, body });
		io.to(room).emit('message', { id, room, body, place });
		acknowledge();
	});
});

server.listen(0, '127.0.0.1', () => {
	console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

type NewMessage = Omit<Row, 'place'>;

async function insertAlone({ id, room, body }: NewMessage): Promise<string | undefined> {
	const [row] = await sql<Row[]>`
		insert into peer_message (id, room, body) values (${id}, ${room}, ${body})
		on conflict (id) do nothing
		returning place`;
	return row?.place;
}

function insertTogether(): typeof insertAlone {
	let waiting: { message: NewMessage; resolve(place: string | undefined): void }[] = [];
	let busy = false;
	const drain = async () => {
		busy = true;
		while (waiting.length > 0) {
			const batch = waiting.slice(0, BATCH_MAX);
			waiting = waiting.slice(BATCH_MAX);
			const rows = await sql<Row[]>`
				insert into peer_message (id, room, body)
				select * from unnest(
					${batch.map(({ message }) => message.id)}::uuid[],
					${batch.map(({ message }) => message.room)}::text[],
					${batch.map(({ message }) => message.body)}::text[]
				)
				on conflict (id) do nothing
				returning id, place`;
			const places = new Map(rows.map(({ id, place }) => [id, place]));
			for (const { message, resolve } of batch) resolve(places.get(message.id));
		}
		busy = false;
	};
	return (message) =>
		new Promise((resolve) => {
			waiting.push({ message, resolve });
			if (!busy) void drain();
		});
}
