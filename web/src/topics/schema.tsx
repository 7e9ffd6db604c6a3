import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get, seg, type TopicDetail, type TopicSchema } from "../api/client";
import { Copy } from "../ui/copy";
import { Sheet } from "../ui/sheet";
import { Empty, StaleNote, Waiting } from "../ui/states";
import { fieldsOf } from "./fields";

/** The schema of a topic's values. */
export function SchemaTab({ name, topic }: { name: string; topic: TopicDetail | undefined }) {
  if (!topic) return <Waiting what={`the topic ${name}`} />;
  if (!topic.schema) {
    return (
      <Empty title={topic.kind === "other" ? "No schema is known for this topic" : "Its values may be any bytes"}>
        {topic.kind === "other" && (
          <p>
            Schemas belong to topics of the catalog: put a JSON Schema into <code>api/schemas</code> and name it with <code>schema:</code> in <code>topics.yaml</code>.
          </p>
        )}
      </Empty>
    );
  }
  return <Schema name={name} />;
}

function Schema({ name }: { name: string }) {
  const schema = useQuery({ queryKey: ["topic", name, "schema"], queryFn: ({ signal }) => get<TopicSchema>(`/topics/${seg(name)}/schema`, signal), staleTime: Number.POSITIVE_INFINITY });
  const fields = useMemo(() => fieldsOf(schema.data?.schema), [schema.data]);
  const raw = useMemo(() => JSON.stringify(schema.data?.schema, null, 2), [schema.data]);
  if (!schema.data) return schema.isError ? <StaleNote of={schema} what="the schema" /> : <Waiting what="the schema" />;
  const about = (schema.data.schema as { description?: string }).description;
  return (
    <>
      {about && <p className="prose">{about}</p>}
      <section aria-labelledby="fields-h">
        <h2 id="fields-h">Fields</h2>
        <Sheet by="fields-h" table="schema-fields" heads={["Field", "Type", "Required", "Meaning"]}>
          <tbody>
            {fields.map((f) => (
              <tr key={f.path}>
                <th scope="row">
                  <code>{f.path}</code>
                </th>
                <td>{f.type}</td>
                <td>{f.required ? "yes" : <span className="muted">no</span>}</td>
                <td className="wrap">{f.about}</td>
              </tr>
            ))}
          </tbody>
        </Sheet>
      </section>
      <section aria-labelledby="raw-h">
        <h2 id="raw-h">api/schemas/{schema.data.file}</h2>
        <Copy text={raw}>Copy</Copy>
        <pre className="value raw" tabIndex={0} aria-labelledby="raw-h">
          {raw}
        </pre>
      </section>
    </>
  );
}
