import { address } from "../ui/route";

/** The address of one connector's page. */
export const connectorPath = (connector: string) => address("/connectors/:connector", { connector });
