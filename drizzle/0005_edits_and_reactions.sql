CREATE TABLE "message_edit" (
	"conversation_id" uuid NOT NULL,
	"message_id" uuid NOT NULL,
	"edit" integer NOT NULL,
	"body" text NOT NULL,
	"written_at" timestamp with time zone NOT NULL,
	CONSTRAINT "message_edit_conversation_id_message_id_edit_pk" PRIMARY KEY("conversation_id","message_id","edit")
);
--> statement-breakpoint
CREATE TABLE "reaction" (
	"conversation_id" uuid NOT NULL,
	"message_id" uuid NOT NULL,
	"person_id" uuid NOT NULL,
	"emoji" text NOT NULL,
	"version" bigint NOT NULL,
	CONSTRAINT "reaction_conversation_id_message_id_person_id_emoji_pk" PRIMARY KEY("conversation_id","message_id","person_id","emoji")
);
--> statement-breakpoint
ALTER TABLE "message" ADD COLUMN "changed" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "message" ADD COLUMN "edits" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "message" ADD COLUMN "edited_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "message_edit" ADD CONSTRAINT "message_edit_message_id_message_id_fk" FOREIGN KEY ("message_id") REFERENCES "public"."message"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "reaction" ADD CONSTRAINT "reaction_message_id_message_id_fk" FOREIGN KEY ("message_id") REFERENCES "public"."message"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "message_changed_idx" ON "message" USING btree ("conversation_id","version") WHERE changed;