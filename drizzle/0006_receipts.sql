ALTER TABLE "person" ADD COLUMN "shows_receipts" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "member" ADD COLUMN "received_seq" bigint DEFAULT 0 NOT NULL;