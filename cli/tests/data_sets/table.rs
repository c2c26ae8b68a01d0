//! Writer of parquet files, as by pyarrow for LeRobot, and of malformed variants.

use parquet::{
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use std::{fs, fs::File, path::Path, sync::Arc};

/// Column with an optional value per row.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    I64(Vec<Option<i64>>),
    I32(Vec<Option<i32>>),
    F64(Vec<Option<f64>>),
    Vectors(Vec<Option<Vec<f32>>>),
    Doubles(Vec<Option<Vec<f64>>>),
    Texts(Vec<Option<String>>),
    Lists(Vec<Vec<String>>),
    /// A record of bytes and a path, with the bytes present.
    Files(Vec<Vec<u8>>),
}

impl Column {
    pub(crate) fn whole(values: impl IntoIterator<Item = i64>) -> Self {
        Self::I64(values.into_iter().map(Some).collect())
    }

    /// The given rows of the column, in this order.
    pub(crate) fn take(&self, rows: &[usize]) -> Self {
        fn of<T: Clone>(values: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|row| values[*row].clone()).collect()
        }
        match self {
            Self::I64(values) => Self::I64(of(values, rows)),
            Self::I32(values) => Self::I32(of(values, rows)),
            Self::F64(values) => Self::F64(of(values, rows)),
            Self::Vectors(values) => Self::Vectors(of(values, rows)),
            Self::Doubles(values) => Self::Doubles(of(values, rows)),
            Self::Texts(values) => Self::Texts(of(values, rows)),
            Self::Lists(values) => Self::Lists(of(values, rows)),
            Self::Files(values) => Self::Files(of(values, rows)),
        }
    }
}

/// Columns by their names.
pub(crate) type Columns = Vec<(String, Column)>;

pub(crate) fn write(path: &Path, columns: &Columns) {
    write_as(path, columns, WriterProperties::default());
}

pub(crate) fn write_as(path: &Path, columns: &Columns, properties: WriterProperties) {
    write_times(path, columns, properties, 1);
}

/// Writes the same rows in `times` row groups.
pub(crate) fn write_times(
    path: &Path,
    columns: &Columns,
    properties: WriterProperties,
    times: usize,
) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let lines: Vec<String> = columns
        .iter()
        .map(|(name, column)| match column {
            Column::I64(_) => format!("optional int64 {name};"),
            Column::I32(_) => format!("optional int32 {name};"),
            Column::F64(_) => format!("optional double {name};"),
            Column::Vectors(_) => list(name, "float"),
            Column::Doubles(_) => list(name, "double"),
            Column::Texts(_) => format!("optional binary {name} (STRING);"),
            Column::Lists(_) => format!(
                "optional group {name} (LIST) {{ repeated group list {{ optional binary element (STRING); }} }}"
            ),
            Column::Files(_) => {
                format!("optional group {name} {{ optional binary bytes; optional binary path (STRING); }}")
            }
        })
        .collect();
    let schema =
        Arc::new(parse_message_type(&format!("message schema {{ {} }}", lines.join(" "))).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    for _ in 0..times {
        let mut group = writer.next_row_group().unwrap();
        for (_, column) in columns {
            match column {
                Column::I64(values) => flat::<Int64Type>(&mut group, values, 1),
                Column::I32(values) => flat::<Int32Type>(&mut group, values, 1),
                Column::F64(values) => flat::<DoubleType>(&mut group, values, 1),
                Column::Texts(values) => {
                    let values: Vec<Option<ByteArray>> = values
                        .iter()
                        .map(|text| text.as_deref().map(ByteArray::from))
                        .collect();
                    flat::<ByteArrayType>(&mut group, &values, 1);
                }
                Column::Files(values) => {
                    let bytes: Vec<Option<ByteArray>> = values
                        .iter()
                        .map(|bytes| Some(ByteArray::from(bytes.clone())))
                        .collect();
                    flat::<ByteArrayType>(&mut group, &bytes, 2);
                    flat::<ByteArrayType>(&mut group, &vec![None; values.len()], 2);
                }
                Column::Vectors(rows) => nested::<FloatType>(&mut group, rows),
                Column::Doubles(rows) => nested::<DoubleType>(&mut group, rows),
                Column::Lists(rows) => {
                    let rows: Vec<Option<Vec<ByteArray>>> = rows
                        .iter()
                        .map(|row| {
                            Some(
                                row.iter()
                                    .map(|text| ByteArray::from(text.as_str()))
                                    .collect(),
                            )
                        })
                        .collect();
                    nested::<ByteArrayType>(&mut group, &rows);
                }
            }
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

fn list(name: &str, kind: &str) -> String {
    format!("optional group {name} (LIST) {{ repeated group list {{ optional {kind} element; }} }}")
}

fn flat<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[Option<T::T>],
    level: i16,
) {
    let present: Vec<T::T> = values.iter().flatten().cloned().collect();
    let levels: Vec<i16> = values
        .iter()
        .map(|value| if value.is_some() { level } else { level - 1 })
        .collect();
    let mut column = group.next_column().unwrap().unwrap();
    let typed = column.typed::<T>();
    typed.write_batch(&present, Some(&levels), None).unwrap();
    column.close().unwrap();
}

fn nested<T: DataType>(group: &mut SerializedRowGroupWriter<'_, File>, rows: &[Option<Vec<T::T>>]) {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match row {
            None => {
                definitions.push(0);
                repetitions.push(0);
            }
            Some(row) if row.is_empty() => {
                definitions.push(1);
                repetitions.push(0);
            }
            Some(row) => {
                for (element, value) in row.iter().enumerate() {
                    values.push(value.clone());
                    definitions.push(3);
                    repetitions.push(i16::from(element > 0));
                }
            }
        }
    }
    let mut column = group.next_column().unwrap().unwrap();
    let typed = column.typed::<T>();
    typed
        .write_batch(&values, Some(&definitions), Some(&repetitions))
        .unwrap();
    column.close().unwrap();
}
