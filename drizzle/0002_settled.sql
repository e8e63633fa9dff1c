-- What changed is found by its place: an insert pays for one index less.
DROP INDEX "message_version_idx";--> statement-breakpoint
ALTER TABLE "conversation" ADD COLUMN "settled_seq" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
-- So far every message moved its sender's read position itself.
UPDATE "conversation" SET "settled_seq" = "last_seq";
