// Generated from contract/openapi.json by scripts/generate.ts. Do not edit.
export interface RequestMagicLinkBody {
  email: string;
  [k: string]: unknown;
}

export interface VerifyMagicLinkBody {
  token: string;
  [k: string]: unknown;
}

export interface AddRowBody {
  [k: string]: unknown;
}

export interface DeleteWhereBody {
  filter: {
    [k: string]: string | number | boolean | null;
  };
  [k: string]: unknown;
}

export interface UpsertRowBody {
  key: string | [string, ...string[]];
  row: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}

export interface BatchBody {
  /**
   * @minItems 1
   */
  operations: [
    (
      | {
          action: "add";
          row: {
            [k: string]: unknown;
          };
          idempotencyKey?: string;
          [k: string]: unknown;
        }
      | {
          action: "upsert";
          key: string | [string, ...string[]];
          row: {
            [k: string]: unknown;
          };
          [k: string]: unknown;
        }
      | {
          action: "update_row";
          id: string;
          patch: {
            [k: string]: unknown;
          };
          [k: string]: unknown;
        }
      | {
          action: "update_where";
          filter: {
            [k: string]: string | number | boolean | null;
          };
          patch: {
            [k: string]: unknown;
          };
          allowMultiple?: boolean;
          [k: string]: unknown;
        }
      | {
          action: "delete";
          filter: {
            [k: string]: string | number | boolean | null;
          };
          [k: string]: unknown;
        }
    ),
    ...(
      | {
          action: "add";
          row: {
            [k: string]: unknown;
          };
          idempotencyKey?: string;
          [k: string]: unknown;
        }
      | {
          action: "upsert";
          key: string | [string, ...string[]];
          row: {
            [k: string]: unknown;
          };
          [k: string]: unknown;
        }
      | {
          action: "update_row";
          id: string;
          patch: {
            [k: string]: unknown;
          };
          [k: string]: unknown;
        }
      | {
          action: "update_where";
          filter: {
            [k: string]: string | number | boolean | null;
          };
          patch: {
            [k: string]: unknown;
          };
          allowMultiple?: boolean;
          [k: string]: unknown;
        }
      | {
          action: "delete";
          filter: {
            [k: string]: string | number | boolean | null;
          };
          [k: string]: unknown;
        }
    )[]
  ];
  [k: string]: unknown;
}

export interface UpdateRowBody {
  id: string;
  patch: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}

export interface UpdateWhereBody {
  filter: {
    [k: string]: string | number | boolean | null;
  };
  patch: {
    [k: string]: unknown;
  };
  allowMultiple?: boolean;
  [k: string]: unknown;
}

export interface RestoreVersionBody {
  id: string;
  version: number;
  [k: string]: unknown;
}

export type CreateTextFieldLinkBody = {
  [k: string]: unknown;
} & {
  table: string;
  field: string;
  id?: string;
  filter?: {
    [k: string]: string | number | boolean | null;
  };
  filename?: string;
  mimeType?: string;
  [k: string]: unknown;
};

export interface CreateRowLinkBody {
  table: string;
  id: string;
  filename?: string;
  [k: string]: unknown;
}

export interface CreateQueryLinkBody {
  table: string;
  filter?: {
    [k: string]: string | number | boolean | null;
  };
  sort?: string;
  limit?: number;
  filename?: string;
  [k: string]: unknown;
}

export interface CreateKeyBody {
  name: string;
  [k: string]: unknown;
}
