import { address } from "../ui/route";

/** Where one connector is shown. */
export const connectorPath = (connector: string) => address("/connectors/:connector", { connector });
