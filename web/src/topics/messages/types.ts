import type { components } from "../../api/schema";

type Schemas = components["schemas"];
export type Message = Schemas["Message"];
export type Header = Schemas["MessageHeader"];
export type Live = Schemas["Messages"];
export type Detail = Schemas["MessageDetail"];
export type Progress = Schemas["SearchProgress"];
export type End = Schemas["SearchEnd"];
export type FilterCheck = Schemas["FilterCheck"];
export type NewMessage = Schemas["NewMessage"];
export type Produced = Schemas["Produced"];
export type Redrive = Schemas["Redrive"];

/** The name of a message within its topic: PARTITION:OFFSET. */
export const idOf = (m: { partition: number; offset: number }) => `${m.partition}:${m.offset}`;
