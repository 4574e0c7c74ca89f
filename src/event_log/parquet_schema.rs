//! The columns of a sealed file: every field of an event but its site, which is the folder's name.
//!
//! Signed integers and UTC timestamps only, so that DuckDB, Polars and Spark read the files as they are.

use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;

const MESSAGE: &str = "
message event {
  required int64 position (INTEGER(64,true));
  required binary id (STRING);
  required binary type (STRING);
  required binary visitor_id (STRING);
  optional binary customer_id (STRING);
  optional binary session_id (STRING);
  optional int64 seq (INTEGER(64,true));
  required int64 ts (TIMESTAMP(MICROS,true));
  optional int64 client_ts (TIMESTAMP(MICROS,true));
  optional int64 sent_at (TIMESTAMP(MICROS,true));
  required int64 received_at (TIMESTAMP(MICROS,true));
  required boolean consent_analytics;
  required boolean consent_personalization;
  required boolean consent_marketing;
  required boolean consent_sale_share;
  optional int64 consent_at (TIMESTAMP(MICROS,true));
  required binary source (STRING);
  required group items (LIST) {
    repeated group list {
      required group element {
        required binary item_id (STRING);
        optional binary item_name (STRING);
        optional binary item_brand (STRING);
        required group categories (LIST) {
          repeated group list {
            required binary element (STRING);
          }
        }
        optional binary item_variant (STRING);
        optional int64 price_micros (INTEGER(64,true));
        optional int64 quantity (INTEGER(64,true));
        optional int64 index (INTEGER(64,true));
      }
    }
  }
  optional binary currency (STRING);
  optional int64 value_minor (INTEGER(64,true));
  optional binary transaction_id (STRING);
  optional binary search_term (STRING);
  optional binary creative_id (STRING);
  optional binary placement (STRING);
  optional binary recommendation_id (STRING);
  optional binary params (STRING);
}";

/// Definition levels of a column within `items`: the event has none; the line says nothing here; it says something.
/// For `categories` the middle one is a line without any.
pub(super) const NO_LINE: i16 = 0;
pub(super) const NO_VALUE: i16 = 1;
pub(super) const VALUE: i16 = 2;

/// Repetition levels: a new event, another line of it, another category of that line.
pub(super) const NEW_EVENT: i16 = 0;
pub(super) const NEXT_LINE: i16 = 1;
pub(super) const NEXT_CATEGORY: i16 = 2;

/// Returns the schema.
pub(super) fn schema() -> Result<TypePtr, ParquetError> {
    Ok(Arc::new(parse_message_type(MESSAGE)?))
}
